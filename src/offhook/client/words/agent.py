"""Typed dicts of what makes an agent (relay-protocol 7.5). ``AiParams`` has the usual settings; others may be sent.

Some words about many keys: docstrings are longer than elsewhere.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

__all__ = ["AiLanguage", "AiParams", "AiPrompt", "Hint", "Pronounce", "Swaig", "SwaigFunction"]


class AiPrompt(TypedDict, total=False):
    """What the agent is to do: ``text``, or ``pom`` sections, which go before it.

    ``contexts``: steps of a conversation, which say when to go on. ``model``: which one thinks; ``temperature`` 0 to
    1.5 (default 1), ``top_p`` 0 to 1 (default 1), ``frequency_penalty`` and ``presence_penalty`` -2 to 2 (default 0)
    and ``max_tokens`` up to 4096 (default 256) are its own. ``confidence`` 0 to 1 (default 0.6) must be reached by what
    was heard, ``barge_confidence`` by what interrupts.
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
    """A function that the agent may call, while it is ``active`` (default).

    ``function``: its name. ``description`` tells the agent when to call it, ``parameters`` (a JSON schema) with what.
    ``web_hook_url`` is POSTed the call, with ``web_hook_auth_user`` and ``web_hook_auth_password``, ``meta_data`` and
    ``meta_data_token``; or ``data_map`` says what to do without a server. Meanwhile the caller hears ``fillers`` (by
    language; ``wait_for_fillers`` to their end, ``skip_fillers`` none) or ``wait_file``, ``wait_file_loops`` times.
    """

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
    """The agent's functions.

    ``functions`` of yours, with what they have in common in ``defaults``; those that URLs in ``includes`` describe;
    ``native_functions`` such as ``check_time``; those of ``mcp_servers``. ``internal_fillers``: what to say meanwhile,
    by function and language.
    """

    defaults: dict[str, Any]
    functions: list[SwaigFunction]
    includes: list[dict[str, Any]]
    native_functions: list[str]
    internal_fillers: dict[str, Any]
    mcp_servers: list[dict[str, Any]]


class Hint(TypedDict):
    """``hint``: a word to expect. What is heard and matches ``pattern`` (``ignore_case``) counts as ``replace``."""

    hint: str
    pattern: str
    replace: str
    ignore_case: NotRequired[bool]


Pronounce = TypedDict("Pronounce", {"replace": str, "with": str, "ignore_case": NotRequired[bool]})
"""Speak ``replace`` as ``with``; ``ignore_case`` is the default."""


class AiLanguage(TypedDict):
    """A language that the agent speaks: ``name`` (English), ``code`` (en-US) and ``voice`` (``engine.voice[:model]``).

    What to say while something takes its time: ``function_fillers`` for functions, ``speech_fillers`` for thinking,
    ``turn_fillers`` when it takes its turn. ``params``: of the voice's engine.
    """

    name: str
    code: str
    voice: str
    function_fillers: NotRequired[list[str]]
    speech_fillers: NotRequired[list[str]]
    turn_fillers: NotRequired[list[str]]
    params: NotRequired[dict[str, Any]]


class AiParams(TypedDict, total=False):
    """Settings of a session; the defaults are those of the hosted service."""

    ai_model: str  # default gpt-4o-mini
    ai_name: str  # what it is called, default computer
    app_name: str  # in its webhooks, default swml app
    ai_volume: int  # -50 to 50, default 0
    attention_timeout: int  # ms of silence until it asks, default 5000; 0 never
    inactivity_timeout: int  # ms of silence until it leaves, default 600000
    end_of_speech_timeout: int  # ms of silence that end a turn, 0 to 10000, default 700
    first_word_timeout: int  # ms, default 1000
    speech_event_timeout: int  # ms, default 1400
    digit_timeout: int  # ms between keys, default 3000
    digit_terminators: str  # keys that end input
    initial_sleep_ms: int  # before it speaks, default 0
    hard_stop_time: str  # when it must end: 30s, 1h30m
    hard_stop_prompt: str  # what it is told then
    outbound_attention_timeout: int  # ms, default 120000
    energy_level: int  # 0 to 100 that speech must have, default 52
    enable_barge: str | bool  # when it may be interrupted: complete, partial, all, or a boolean
    barge_match_string: str  # what interrupts it, a pattern
    barge_min_words: int  # how many words interrupt it, 1 to 99
    transparent_barge: bool  # default true
    interrupt_on_noise: bool  # also what is no speech
    acknowledge_interruptions: bool | int  # it says so
    background_file: str  # URL of what is heard behind it
    background_file_loops: int  # how often
    background_file_volume: int  # -50 to 50
    hold_music: str  # URL
    hold_on_process: bool  # hold the caller while it thinks
    static_greeting: str  # its first words, as they are
    static_greeting_no_barge: bool  # they are not interrupted
    wait_for_user: bool  # the caller speaks first, default false
    direction: str  # of the call, as it is told
    conversation_id: str  # goes on with one that was saved
    save_conversation: bool  # under that id
    conscience: str  # what it must never forget
    convo: list[dict[str, Any]]  # what was said before: role, content, lang
    local_tz: str  # its time zone, default US/Central
    openai_asr_engine: str  # who recognises, default deepgram:nova-3
    asr_diarize: bool  # tell speakers apart
    asr_smart_format: bool  # write numbers and dates as such
    enable_turn_detection: bool  # default true
    turn_detection_timeout: int  # ms, default 250
    enable_thinking: bool  # the model thinks before it answers
    enable_vision: bool  # it may look at video
    max_response_tokens: int  # 1 to 16384
    redact_prompt: bool  # keep the prompt out of logs
    enable_text_normalization: str  # default both
    swaig_allow_swml: bool  # functions may answer with SWML, default true
    swaig_allow_settings: bool  # functions may change settings, default true
    swaig_set_global_data: bool  # functions may set global data, default true
    swaig_post_conversation: bool  # functions get what was said, default false
    swaig_post_swml_vars: bool | list[str]  # functions get SWML's variables, default false
    functions_on_no_response: list[str]  # called when nobody answers
    function_wait_for_talking: bool  # until it has spoken
    tts_number_format: str  # how numbers are spoken
    debug_webhook_url: str  # is POSTed what happens
    debug_webhook_level: int  # 0 to 2, default 1
    enable_accounting: bool  # count tokens and minutes
    verbose_logs: bool  # say more in logs
