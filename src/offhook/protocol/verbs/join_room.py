"""``calling.join_room`` and ``calling.leave_room`` (relay-protocol 4.10)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import CallParams, Url
from offhook.protocol.spec import VerbSpec

__all__ = ["EVENT", "SPECS", "JoinRoom", "LeaveRoom", "RoomEvent"]

EVENT: Final = "calling.call.room"


class JoinRoom(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.join_room``."""

    method: ClassVar[str] = "calling.join_room"
    accepted: ClassVar[str] = "Joining room"

    name: Annotated[str, msgspec.Meta(min_length=1, description="the name of a room")]
    status_url: Url | None = None


class LeaveRoom(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.leave_room``."""

    method: ClassVar[str] = "calling.leave_room"
    accepted: ClassVar[str] = "Leaving room"


class RoomEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.room``."""

    node_id: str
    call_id: str
    join_status: Literal["joined", "failed", "leave", "cancel", "locked"]
    room_name: str


SPECS: Final = (
    VerbSpec(section=(4, 10), start=JoinRoom, tells=(EVENT,), exclusive="blocking"),
    VerbSpec(section=(4, 10), start=LeaveRoom, tells=(EVENT,)),
)
