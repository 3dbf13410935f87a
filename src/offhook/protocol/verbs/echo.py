"""``calling.echo``: send back what the party says (relay-protocol 4.11)."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from offhook.protocol.params import AnySeconds, CallParams, Url
from offhook.protocol.spec import VerbSpec
from offhook.protocol.states import EchoState

__all__ = ["EVENT", "MAX_TIMEOUT_S", "MIN_TIMEOUT_S", "SPECS", "Echo", "EchoEvent"]

EVENT: Final = "calling.call.echo"
MIN_TIMEOUT_S: Final = 5.0
MAX_TIMEOUT_S: Final = 120.0


class Echo(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.echo``. ``timeout`` is seconds; the node clamps it to 5-120, 0 or less means 120."""

    method: ClassVar[str] = "calling.echo"
    accepted: ClassVar[str] = "Echoing"

    timeout: AnySeconds = 60.0
    status_url: Url | None = None

    @property
    def clamped_timeout_s(self) -> float:
        """How long the echo lasts."""
        return MAX_TIMEOUT_S if self.timeout <= 0 else min(max(self.timeout, MIN_TIMEOUT_S), MAX_TIMEOUT_S)


class EchoEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.echo``."""

    node_id: str
    call_id: str
    state: EchoState


SPECS: Final = (
    VerbSpec(
        section=(4, 11),
        start=Echo,
        event=EVENT,
        lost=({"state": "finished"},),
        exclusive="echo",
        not_found="call",
    ),
)
