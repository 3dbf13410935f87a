"""``calling.connect``: bridge the call to another party (relay-protocol 4.5)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

import msgspec

from offhook.protocol.devices import ConnectDevice, Media, ReportedDevice
from offhook.protocol.params import CallParams, DialDigits, PositiveSeconds, Price, Url, WholeSeconds
from offhook.protocol.spec import VerbSpec

__all__ = ["EVENT", "SPECS", "Connect", "ConnectEvent", "ConnectState", "ConnectedPeer"]

EVENT: Final = "calling.call.connect"

ConnectState = Literal["connecting", "connected", "disconnected", "failed"]


class Connect(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.connect``.

    ``devices``: the outer list is tried in order, the inner ones ring at the same time. ``ringback`` is what the
    caller hears until the answer. ``tag`` labels the new leg. ``timeout`` rings a device that has none of its own.
    """

    method: ClassVar[str] = "calling.connect"
    accepted: ClassVar[str] = "Connecting call"

    devices: Annotated[
        list[Annotated[list[ConnectDevice], msgspec.Meta(min_length=1, description="a list of at least one device")]],
        msgspec.Meta(min_length=1, description="a list of lists of devices, at least one"),
    ]
    ringback: list[Media] = msgspec.field(default_factory=list)
    tag: str | None = None
    timeout: PositiveSeconds | None = None
    max_duration: WholeSeconds | None = None
    send_digits: DialDigits | None = None
    max_price_per_minute: Price | None = None
    status_url: Url | None = None


class ConnectedPeer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The other end of the bridge."""

    node_id: str
    call_id: str
    tag: str
    device: ReportedDevice
    queue_id: str | None = None
    queue_name: str | None = None


class ConnectEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.connect``. ``peer`` with connected and disconnected, ``failed_reason`` with failed."""

    node_id: str
    call_id: str
    segment_id: str
    connect_state: ConnectState
    tag: str = ""
    peer: ConnectedPeer | msgspec.UnsetType = msgspec.UNSET
    failed_reason: str | msgspec.UnsetType = msgspec.UNSET


SPECS: Final = (VerbSpec(section=(4, 5), start=Connect, tells=(EVENT,), exclusive="blocking"),)
