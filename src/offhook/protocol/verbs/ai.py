"""``calling.ai`` and ``calling.amazon_bedrock``: an agent on the call (relay-protocol 4.13 and 7.5)."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import CallParams, ControlParams, Url
from offhook.protocol.spec import VerbSpec

__all__ = ["EVENT", "SPECS", "START_EVENT", "STOP_EVENT", "Ai", "AiEvent", "AiStop", "AmazonBedrock"]

EVENT: Final = "calling.call.ai"
START_EVENT: Final = "calling.ai.start"
STOP_EVENT: Final = "calling.ai.stop"


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
    VerbSpec(section=(4, 13), start=Ai, commands=(AiStop,)),
    VerbSpec(section=(4, 13), start=AmazonBedrock),
)
