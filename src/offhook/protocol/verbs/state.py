"""``calling.call.receive`` and ``calling.call.state``: a call's own events (relay-protocol 5)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from offhook.protocol.devices import ReportedDevice
from offhook.protocol.states import CallState, Direction, EndReason, EndSource

__all__ = ["RECEIVE_EVENT", "STATE_EVENT", "Parent", "Peer", "ReceiveEvent", "StateEvent"]

RECEIVE_EVENT: Final = "calling.call.receive"
STATE_EVENT: Final = "calling.call.state"


class ReceiveEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.receive``: the offer of an inbound call. Also needs ``context`` on its envelope."""

    node_id: str
    call_id: str
    segment_id: str
    project_id: str
    context: str
    device: ReportedDevice
    tag: str = ""
    direction: Direction = Direction.INBOUND
    call_state: CallState = CallState.CREATED


class Peer(msgspec.Struct, frozen=True):
    """The call at the other end of a bridge."""

    node_id: str
    call_id: str


class Parent(msgspec.Struct, frozen=True):
    """The call that made this one."""

    node_id: str
    call_id: str
    device_type: str = ""


class StateEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.state``. Clients replace all they know of the call by it, so all seven are always there.

    Times are whole milliseconds of the Unix epoch, 0 until known. ``end_detail`` is ours: more than the reason says.
    """

    node_id: str
    call_id: str
    segment_id: str
    tag: str
    call_state: CallState
    direction: Direction
    device: ReportedDevice
    start_time: int = 0
    answer_time: int = 0
    end_time: int = 0
    end_reason: EndReason | msgspec.UnsetType = msgspec.UNSET
    end_source: EndSource | msgspec.UnsetType = msgspec.UNSET
    end_detail: str | msgspec.UnsetType = msgspec.UNSET
    dial_winner: str | msgspec.UnsetType = msgspec.UNSET
    peer: Peer | msgspec.UnsetType = msgspec.UNSET
    parent: Parent | msgspec.UnsetType = msgspec.UNSET
    sip_data: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    audio_in_mos: float | msgspec.UnsetType = msgspec.UNSET
