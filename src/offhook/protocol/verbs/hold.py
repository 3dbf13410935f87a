"""``calling.hold`` and ``calling.unhold`` (relay-protocol 4.11 and 9, row 20)."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import CallParams
from offhook.protocol.spec import VerbSpec

__all__ = ["EVENT", "SPECS", "Hold", "HoldEvent", "Unhold"]

EVENT: Final = "calling.call.hold"


class Hold(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.hold``."""

    method: ClassVar[str] = "calling.hold"
    accepted: ClassVar[str] = "Call on hold"


class Unhold(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.unhold``."""

    method: ClassVar[str] = "calling.unhold"
    accepted: ClassVar[str] = "Call off hold"


class HoldEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.hold``."""

    node_id: str
    call_id: str
    state: Literal["hold", "unhold"]


SPECS: Final = (
    VerbSpec(section=(4, 11), start=Hold, tells=(EVENT,), not_found="method"),
    VerbSpec(section=(4, 11), start=Unhold, tells=(EVENT,), not_found="method"),
)
