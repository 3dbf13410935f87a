"""``calling.dial``: place calls (relay-protocol 4.1)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.devices import DialDevice, ReportedDevice
from offhook.protocol.params import DialDigits, Params, PositiveSeconds, Price, WholeSeconds
from offhook.protocol.spec import EventFields, VerbSpec
from offhook.protocol.states import DialState

__all__ = ["EVENT", "SPECS", "Begin", "Dial", "DialEvent", "DialledCall"]

EVENT: Final = "calling.call.dial"


class Dial(Params, frozen=True, kw_only=True):
    """Params of ``calling.dial``.

    ``devices``: the outer list is tried in order, the inner ones ring at the same time. ``tag`` is all that links
    the answer's events to the request. ``timeout`` rings a device that has none of its own. ``region`` and
    ``node_id`` are older hints.
    """

    method: ClassVar[str] = "calling.dial"
    accepted: ClassVar[str] = "Dialing"

    tag: Annotated[str, msgspec.Meta(min_length=1, max_length=256, description="a text of 1 to 256 characters")]
    devices: Annotated[
        list[Annotated[list[DialDevice], msgspec.Meta(min_length=1, description="a list of at least one device")]],
        msgspec.Meta(min_length=1, description="a list of lists of devices, at least one"),
    ]
    timeout: PositiveSeconds | None = None
    max_duration: WholeSeconds | None = None
    max_price_per_minute: Price | None = None
    send_digits: DialDigits | None = None
    dest_swml: str | dict[str, Any] | None = None
    region: str | None = None
    node_id: str | None = None


class Begin(Params, frozen=True, kw_only=True):
    """Params of ``calling.begin``, the deprecated form of dial: one device; the result carries call_id and node_id."""

    method: ClassVar[str] = "calling.begin"
    accepted: ClassVar[str] = "Call started"

    device: DialDevice
    tag: str | None = None
    region: str | None = None
    max_duration: WholeSeconds | None = None


class DialledCall(msgspec.Struct, frozen=True, kw_only=True):
    """The winner, inside the ``answered`` event."""

    node_id: str
    call_id: str
    segment_id: str
    tag: str
    device: ReportedDevice
    call_state: Literal["answered"] = "answered"
    direction: Literal["outbound"] = "outbound"
    dial_winner: Literal["true"] = "true"


class DialEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Params of ``calling.call.dial``. ``call`` on answered; ``reason`` and ``source`` on failed."""

    node_id: str
    tag: str
    dial_state: DialState
    call: DialledCall | None = None
    reason: str | None = None
    source: str | None = None


def is_dialled(params: EventFields) -> bool:
    """Whether this event tells the outcome."""
    return params.get("dial_state") != DialState.DIALING


SPECS: Final = (
    VerbSpec(section=(4, 1), start=Dial, event=EVENT, is_end=is_dialled, lost=({"dial_state": "failed"},)),
    VerbSpec(section=(4, 1), start=Begin),
)
