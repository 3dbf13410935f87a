"""Take the call into a video room."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import RelayEvent, Text
from offhook.client.words.compose import compose
from offhook.protocol.verbs.join_room import EVENT, JoinRoom, LeaveRoom

__all__ = ["RoomEvent", "RoomVerb"]


class RoomEvent(RelayEvent, of=EVENT):
    """The call joined or left a room."""

    __slots__ = ()

    join_status = Text("join_status")
    """``joined``, ``failed``, ``leave``, ``cancel`` or ``locked``."""
    room_name = Text("room_name")
    """Name of the room."""


class RoomVerb(CallBase):
    """``join_room`` and ``leave_room``."""

    async def join_room(self, name: str, *, status_url: str | None = None, **extra: Any) -> dict[str, Any]:
        """Join a room; ``calling.call.room`` tells when.

        Args:
            name: of the room.
            status_url: is POSTed the events.
            extra: sent as it is.
        """
        return await self.command(JoinRoom.method, compose(JoinRoom, {"name": name, "status_url": status_url}, extra))

    async def leave_room(self, **extra: Any) -> dict[str, Any]:
        """Leave the room."""
        return await self.command(LeaveRoom.method, compose(LeaveRoom, {}, extra))
