"""Typed dicts of what makes an agent (relay-protocol 7.5). ``AiParams`` has the usual settings; others may be sent."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

__all__ = ["AiLanguage", "AiParams", "AiPrompt", "Hint", "Pronounce", "Swaig", "SwaigFunction"]


class AiPrompt(TypedDict, total=False):
    """What the agent is to do: ``text``, or ``pom`` sections, which go before it.

    ``temperature`` 0 to 1.5 (default 1), ``top_p`` and ``confidence`` 0 to 1, penalties -2 to 2, ``max_tokens`` up to
    4096 (default 256).
    """

    text: str
    pom: list[dict[str, Any]]
    contexts: dict[str, Any]
    temperature: float
    top_p: float
    confidence: float
    barge_confidence: float
    presence_penalty: float
    frequency_penalty: float
    max_tokens: int
    model: str


class SwaigFunction(TypedDict, total=False):
    """A function that the agent may call. ``parameters`` is a JSON schema."""

    function: str
    description: str
    parameters: dict[str, Any]
    active: bool
    web_hook_url: str
    web_hook_auth_user: str
    web_hook_auth_password: str
    data_map: dict[str, Any]
    fillers: dict[str, list[str]]
    skip_fillers: bool
    wait_file: str
    wait_file_loops: int | str
    wait_for_fillers: bool
    meta_data: dict[str, Any]
    meta_data_token: str


class Swaig(TypedDict, total=False):
    """The agent's functions."""

    defaults: dict[str, Any]
    functions: list[SwaigFunction]
    includes: list[dict[str, Any]]
    native_functions: list[str]
    internal_fillers: dict[str, Any]
    mcp_servers: list[dict[str, Any]]


class Hint(TypedDict):
    """A word to expect, and what to put in place of what is heard."""

    hint: str
    pattern: str
    replace: str
    ignore_case: NotRequired[bool]


Pronounce = TypedDict("Pronounce", {"replace": str, "with": str, "ignore_case": NotRequired[bool]})
"""Speak ``replace`` as ``with``."""


class AiLanguage(TypedDict):
    """A language that the agent speaks. ``voice``: ``engine.voice[:model]``."""

    name: str
    code: str
    voice: str
    function_fillers: NotRequired[list[str]]
    speech_fillers: NotRequired[list[str]]
    turn_fillers: NotRequired[list[str]]
    params: NotRequired[dict[str, Any]]


class AiParams(TypedDict, total=False):
    """Settings of a session. Timeouts are milliseconds; volumes -50 to 50; ``hard_stop_time`` such as ``"30s"``."""

    ai_model: str
    ai_name: str
    app_name: str
    ai_volume: int
    attention_timeout: int
    inactivity_timeout: int
    end_of_speech_timeout: int
    first_word_timeout: int
    speech_event_timeout: int
    digit_timeout: int
    digit_terminators: str
    initial_sleep_ms: int
    hard_stop_time: str
    hard_stop_prompt: str
    outbound_attention_timeout: int
    energy_level: int
    enable_barge: str | bool
    barge_match_string: str
    barge_min_words: int
    transparent_barge: bool
    interrupt_on_noise: bool
    acknowledge_interruptions: bool | int
    background_file: str
    background_file_loops: int
    background_file_volume: int
    hold_music: str
    hold_on_process: bool
    static_greeting: str
    static_greeting_no_barge: bool
    wait_for_user: bool
    direction: str
    conversation_id: str
    save_conversation: bool
    conscience: str
    convo: list[dict[str, Any]]
    local_tz: str
    openai_asr_engine: str
    asr_diarize: bool
    asr_smart_format: bool
    enable_turn_detection: bool
    turn_detection_timeout: int
    enable_thinking: bool
    enable_vision: bool
    max_response_tokens: int
    redact_prompt: bool
    enable_text_normalization: str
    swaig_allow_swml: bool
    swaig_allow_settings: bool
    swaig_set_global_data: bool
    swaig_post_conversation: bool
    swaig_post_swml_vars: bool | list[str]
    functions_on_no_response: list[str]
    function_wait_for_talking: bool
    tts_number_format: str
    debug_webhook_url: str
    debug_webhook_level: int
    enable_accounting: bool
    verbose_logs: bool
