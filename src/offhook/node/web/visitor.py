"""One connection that came in at the door, and aiohttp's side of it. They decide nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, cast

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from offhook.node.web.crowd import CrowdLimits

__all__ = ["DoorSettings", "Doorkeeper", "Handler", "Visitor"]

_NOT_HTTP = "This is no HTTP/1.1 request, or not a clean one: see RFC 9112"


class DoorSettings(msgspec.Struct, frozen=True):
    """Seconds, bytes and counts."""

    crowd: CrowdLimits = CrowdLimits()
    request_s: float = 10.0
    """From the accept (TLS included), or from an answer, to the next whole request."""
    stranger_bytes: int = 144 << 10
    """What a stranger may send in all: two messages of 64 KiB and the headers before them."""
    stranger_requests: int = 32
    """HTTP requests on one connection."""
    unread_s: float = 30.0
    """Who reads nothing of what it is sent for so long is gone (tcp(7), TCP_USER_TIMEOUT)."""
    window_bytes: int = 32 << 20
    """A client that sends as much in less than ``window_s`` is cut: what it sends is read slower than that."""
    window_s: float = 8.0


class Doorkeeper(Protocol):
    """What visitors tell the door."""

    settings: DoorSettings

    def admit(self, visitor: Visitor) -> None:
        """It is a client."""
        ...

    def left(self, visitor: Visitor) -> None:
        """Its connection is gone."""
        ...

    def answered(self, visitor: Visitor) -> None:
        """An answer is written."""
        ...

    def counted(self, visitor: Visitor) -> None:
        """It sent as much as it may: a stranger in all, a client in its window of time."""
        ...

    def failed(self, request: web.BaseRequest, status: int, error: BaseException | None) -> None:
        """A request could not be answered: by its fault, or by ours."""
        ...


class Visitor:
    """One connection, from its accept on. The gateway finds it as ``request.protocol.visitor``."""

    def __init__(self, door: Doorkeeper, address: str) -> None:
        self.address = address
        self.transport: asyncio.WriteTransport | None = None
        self.welcome: asyncio.Task[None] | None = None
        self.deadline: asyncio.TimerHandle | None = None
        self.received_bytes = 0
        self.bytes_max = door.settings.stranger_bytes
        self.window_began_at = 0.0
        self.requests = 0
        self.is_stranger = True
        self.is_refused = False
        self.refuse: Callable[[str], None] | None = None
        """Tells it a sentence and closes; set by who speaks with it (a WebSocket)."""
        self._door = door

    def admit(self) -> None:
        """It proved who it is."""
        self._door.admit(self)

    def hang_up(self) -> None:
        """Close at once, however far it came."""
        if self.transport is not None:
            self.transport.abort()
        elif self.welcome is not None:
            self.welcome.cancel()


class Handler(web.RequestHandler):
    """aiohttp's side of a connection, which tells the door what it needs to know."""

    def __init__(self, door: Doorkeeper, visitor: Visitor, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=door.settings.request_s,
        )
        self.visitor = visitor
        self._door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.visitor.transport = cast(asyncio.WriteTransport, transport)  # uvloop's are none by their class
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        visitor = self.visitor
        visitor.received_bytes += len(data)
        if visitor.received_bytes > visitor.bytes_max:
            self._door.counted(visitor)
        if not visitor.is_refused:
            web.RequestHandler.data_received(self, data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._door.left(self.visitor)
        super().connection_lost(exc)

    async def finish_response(self, *args: Any, **kwargs: Any) -> tuple[web.StreamResponse, bool]:
        try:
            return await super().finish_response(*args, **kwargs)
        finally:
            self._door.answered(self.visitor)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  its words are the peer's
    ) -> web.StreamResponse:
        """One sentence to the peer; to the log a count, for what it sent is its own words."""
        self._door.failed(request, status, exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun: it cannot become another")
        text = _NOT_HTTP
        if isinstance(exc, LineTooLong):
            text = "A line of this request is longer than 8190 bytes: shorten it"
        elif not isinstance(exc, HttpProcessingError):
            text = "The node failed to answer this: its log says why"
        response = web.Response(status=status, text=text + "\n", headers={"Server": "offhook"})
        response.force_close()
        return response
