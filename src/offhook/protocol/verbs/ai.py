"""``calling.ai`` and ``calling.amazon_bedrock``: an agent on the call (relay-protocol 4.13 and 7.5)."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import CallParams, ControlParams, Url
from offhook.protocol.spec import VerbSpec

__all__ = [
    "BEGIN_SPEAKING_EVENT",
    "COMPLETION_EVENT",
    "EVENT",
    "PARTIAL_RESULT_EVENT",
    "POST_PROMPT_EVENT",
    "RESPONSE_EVENT",
    "RESPONSE_UTTERANCE_EVENT",
    "SPECS",
    "SPEECH_DETECT_EVENT",
    "START_EVENT",
    "STOP_EVENT",
    "SWAIG_ACTION_EVENT",
    "SWAIG_EVENT",
    "TRANSPARENT_BARGE_EVENT",
    "USER_SPEAKING_EVENT",
    "WARNING_EVENT",
    "Ai",
    "AiEvent",
    "AiStop",
    "AmazonBedrock",
]

EVENT: Final = "calling.call.ai"
START_EVENT: Final = "calling.ai.start"
STOP_EVENT: Final = "calling.ai.stop"
BEGIN_SPEAKING_EVENT: Final = "calling.ai.begin_speaking"
USER_SPEAKING_EVENT: Final = "calling.ai.user_speaking"
SPEECH_DETECT_EVENT: Final = "calling.ai.speech_detect"
TRANSPARENT_BARGE_EVENT: Final = "calling.ai.transparent_barge"
PARTIAL_RESULT_EVENT: Final = "calling.ai.partial_result"
RESPONSE_EVENT: Final = "calling.ai.response"
RESPONSE_UTTERANCE_EVENT: Final = "calling.ai.response_utterance"
COMPLETION_EVENT: Final = "calling.ai.completion"
WARNING_EVENT: Final = "calling.ai.warning"
POST_PROMPT_EVENT: Final = "calling.ai.post_prompt"
SWAIG_EVENT: Final = "calling.ai.swaig"
SWAIG_ACTION_EVENT: Final = "calling.ai.swaig_action"


class Ai(ControlParams, frozen=True, kw_only=True, rename={"swaig": "SWAIG"}):
    """Params of ``calling.ai``: a stored ``agent`` by its id, or a ``prompt``. Bodies are those of section 7.5."""

    method: ClassVar[str] = "calling.ai"
    accepted: ClassVar[str] = "AI started"

    agent: str | None = None
    prompt: dict[str, Any] | None = None
    post_prompt: dict[str, Any] | None = None
    post_prompt_url: Url | None = None
    post_prompt_auth_user: str | None = None
    post_prompt_auth_password: str | None = None
    global_data: dict[str, Any] = msgspec.field(default_factory=dict)
    pronounce: list[dict[str, Any]] = msgspec.field(default_factory=list)
    hints: list[str | dict[str, Any]] = msgspec.field(default_factory=list)
    languages: list[dict[str, Any]] = msgspec.field(default_factory=list)
    multilingual: dict[str, Any] | None = None
    swaig: dict[str, Any] | None = None
    params: dict[str, Any] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.agent is None and self.prompt is None:
            raise ValueError("ai needs `agent` (the id of a stored agent) or `prompt`")

    def __repr__(self) -> str:
        return f"Ai(control_id={self.control_id!r})"


class AiStop(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.ai.stop``."""

    method: ClassVar[str] = "calling.ai.stop"
    accepted: ClassVar[str] = "+OK"


class AmazonBedrock(CallParams, frozen=True, kw_only=True, rename={"swaig": "SWAIG"}):
    """Params of ``calling.amazon_bedrock``. It has no ``control_id`` and no command."""

    method: ClassVar[str] = "calling.amazon_bedrock"
    accepted: ClassVar[str] = "success"

    prompt: dict[str, Any] | None = None
    swaig: dict[str, Any] | None = None
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    global_data: dict[str, Any] = msgspec.field(default_factory=dict)
    post_prompt: dict[str, Any] | None = None
    post_prompt_url: Url | None = None

    def __repr__(self) -> str:
        return "AmazonBedrock(***)"


class AiEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.ai``: the session is over."""

    node_id: str
    call_id: str
    control_id: str
    state: Literal["finished", "error"]


SPECS: Final = (
    VerbSpec(
        section=(4, 13),
        start=Ai,
        commands=(AiStop,),
        event=EVENT,
        keyless=(START_EVENT, STOP_EVENT),
        tells=(
            BEGIN_SPEAKING_EVENT,
            USER_SPEAKING_EVENT,
            SPEECH_DETECT_EVENT,
            TRANSPARENT_BARGE_EVENT,
            PARTIAL_RESULT_EVENT,
            RESPONSE_EVENT,
            RESPONSE_UTTERANCE_EVENT,
            COMPLETION_EVENT,
            WARNING_EVENT,
            POST_PROMPT_EVENT,
            SWAIG_EVENT,
            SWAIG_ACTION_EVENT,
        ),
        exclusive="blocking",
        not_found="call",
    ),
    VerbSpec(
        section=(4, 13),
        start=AmazonBedrock,
        tells=(
            START_EVENT,
            BEGIN_SPEAKING_EVENT,
            SPEECH_DETECT_EVENT,
            PARTIAL_RESULT_EVENT,
            RESPONSE_UTTERANCE_EVENT,
            COMPLETION_EVENT,
            SWAIG_EVENT,
            SWAIG_ACTION_EVENT,
            STOP_EVENT,
        ),
        exclusive="blocking",
    ),
)
