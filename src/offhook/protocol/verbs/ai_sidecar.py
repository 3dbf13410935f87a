"""``calling.ai_sidecar`` and its commands: an agent that listens beside the call (relay-protocol 4.13)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import CallParams, Url
from offhook.protocol.spec import VerbSpec

__all__ = ["EVENT", "SPECS", "AiSidecar", "AiSidecarAsk", "AiSidecarPoke", "AiSidecarStatus", "AiSidecarStop"]

EVENT: Final = "calling.ai.sidecar"

Text = Annotated[str, msgspec.Meta(min_length=1, description="a text")]
Party = Literal["remote-caller", "local-caller"]


class AiSidecar(CallParams, frozen=True, kw_only=True, rename={"swaig": "SWAIG"}):
    """Params of ``calling.ai_sidecar``. The call must be answered."""

    method: ClassVar[str] = "calling.ai_sidecar"
    accepted: ClassVar[str] = "+OK"

    lang: Text
    prompt: str | dict[str, Any] | None = None
    model: str | None = None
    direction: list[Party] = msgspec.field(default_factory=lambda: ["remote-caller", "local-caller"])
    customer_role: Party = "remote-caller"
    url: Url | None = None
    swaig: dict[str, Any] | None = None
    permissions: dict[str, Any] | None = None
    global_data: dict[str, Any] | None = None
    hints: list[str] = msgspec.field(default_factory=list)
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    action: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"AiSidecar(lang={self.lang!r})"


class AiSidecarPoke(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.ai_sidecar.poke``."""

    method: ClassVar[str] = "calling.ai_sidecar.poke"
    accepted: ClassVar[str] = "+OK"

    text: Text


class AiSidecarAsk(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.ai_sidecar.ask``. The result carries ``ask_id``; the answer comes as an event."""

    method: ClassVar[str] = "calling.ai_sidecar.ask"
    accepted: ClassVar[str] = "queued"

    text: Text


class AiSidecarStop(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.ai_sidecar.stop``."""

    method: ClassVar[str] = "calling.ai_sidecar.stop"
    accepted: ClassVar[str] = "+OK"


class AiSidecarStatus(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.ai_sidecar.status``. The result's message has the counters."""

    method: ClassVar[str] = "calling.ai_sidecar.status"
    accepted: ClassVar[str] = "+OK"


SPECS: Final = (
    VerbSpec(
        section=(4, 13),
        start=AiSidecar,
        commands=(AiSidecarPoke, AiSidecarAsk, AiSidecarStop, AiSidecarStatus),
        tells=(EVENT,),
        exclusive="ai_sidecar",
    ),
)
