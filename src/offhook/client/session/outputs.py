"""What a session tells its driver."""

from __future__ import annotations

from typing import Any

import msgspec

from offhook.errors import RelayError
from offhook.protocol.frames import EventParams

__all__ = [
    "Arrived",
    "Completed",
    "Connected",
    "Drop",
    "Failed",
    "Ignored",
    "Lapsed",
    "Lost",
    "Open",
    "Output",
    "Send",
    "Stopped",
    "Truncated",
]


class Open(msgspec.Struct, frozen=True):
    """Open a socket; then ``opened``, or ``lost``."""


class Send(msgspec.Struct, frozen=True):
    """Send this text frame on the open socket."""

    data: bytes

    def __repr__(self) -> str:
        return f"Send(<{len(self.data)} bytes>)"


class Drop(msgspec.Struct, frozen=True):
    """Send what was asked before, then close the socket, or stop opening it. No ``lost`` is needed."""


class Completed(msgspec.Struct, frozen=True):
    """A request has its result."""

    request_id: str
    result: dict[str, Any]


class Failed(msgspec.Struct, frozen=True):
    """A request will have no result."""

    request_id: str
    error: RelayError


class Arrived(msgspec.Struct, frozen=True):
    """An event, once."""

    event: EventParams


class Connected(msgspec.Struct, frozen=True):
    """Authenticated. ``again``: not the first time; ``resumed``: into the session that was before."""

    resumed: bool
    again: bool


class Lost(msgspec.Struct, frozen=True):
    """The socket is gone; the next is opened after ``delay_s``."""

    reason: str
    delay_s: float


class Lapsed(msgspec.Struct, frozen=True):
    """The socket has been gone for so long that nothing may wait for the session's events. It is still resumed."""


class Truncated(msgspec.Struct, frozen=True):
    """The server could not keep all events. ``calls``: what lives, with the ``control_id`` of what runs, if known."""

    calls: dict[str, frozenset[str]] | None


class Ignored(msgspec.Struct, frozen=True):
    """Something unreadable arrived."""

    reason: str


class Stopped(msgspec.Struct, frozen=True):
    """The session is over. ``error``: the server refused us for good; None: closed."""

    error: RelayError | None


Output = Open | Send | Drop | Completed | Failed | Arrived | Connected | Lost | Lapsed | Truncated | Ignored | Stopped
