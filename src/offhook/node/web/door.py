"""The door of the node's one TCP port: who may come in, how long one may take to say what one wants, who goes first.

aiohttp has no time limit before the first request and counts nothing. So connections are accepted here, counted from
then on, and handed to aiohttp (TLS by the event loop) with a deadline each.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from offhook.errors import MachineError
from offhook.node.web.crowd import Crowd, address_of
from offhook.node.web.tally import Tally
from offhook.node.web.visitor import DoorSettings, Handler, Visitor

__all__ = ["Door", "DoorSettings"]

_log = structlog.get_logger(__name__)
_ACCEPTS_PER_TURN = 16
_BACKLOG = 1024
_RETRY_S = 0.5
_GOODBYE_S = 1.0
_NO_PLACE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Door:
    """Listens, counts, and gives what comes in to an aiohttp application."""

    def __init__(self, application: web.Application, settings: DoorSettings | None = None) -> None:
        self.settings = settings or DoorSettings()
        application.middlewares.append(self._middleware)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        self._crowd: Crowd[Visitor] = Crowd(self.settings.crowd)
        self._listeners: list[socket.socket] = []
        self._paused: asyncio.TimerHandle | None = None
        self._welcoming: set[asyncio.Task[None]] = set()
        self._tally = Tally()
        self._context: ssl.SSLContext | None = None

    @property
    def strangers(self) -> int:
        """Connections that proved nothing yet."""
        return self._crowd.strangers

    async def open(self, addresses: Sequence[str], port: int, context: ssl.SSLContext | None) -> int:
        """Listen; returns the port (of the first address, where 0 was asked for).

        Raises:
            MachineError: an address cannot be listened on.
        """
        await self._runner.setup()
        self._context = context
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                listener = socket.create_server((address, port), family=family, backlog=_BACKLOG)
            except OSError as error:
                raise MachineError(f"relay.port: {address}:{port} cannot be listened on: {error}") from error
            listener.setblocking(False)
            self._listeners.append(listener)
            port = port or listener.getsockname()[1]
        self._listen()
        return port

    async def close(self) -> None:
        """Take nobody any more, and end what is there."""
        self._stop_listening()
        if self._paused is not None:
            self._paused.cancel()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for task in self._welcoming:
            task.cancel()
        await asyncio.gather(*self._welcoming, return_exceptions=True)
        await self._runner.cleanup()
        self._tally.close()

    # --- accepting ---

    def _listen(self) -> None:
        self._paused = None
        for listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)

    def _pause(self, until: float) -> None:
        """Who comes meanwhile waits in the kernel."""
        self._stop_listening()
        if self._paused is None:
            self._paused = asyncio.get_running_loop().call_at(until, self._listen)

    def _accept(self, listener: socket.socket) -> None:
        now = asyncio.get_running_loop().time()
        for _ in range(_ACCEPTS_PER_TURN):
            full_until = self._crowd.full_until(now)
            if full_until is not None:
                self._pause(full_until)
                return
            try:
                connection, peer = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_PLACE:
                    self._tally.count("no file descriptor is left for a new connection")
                    self._pause(now + _RETRY_S)
                    return
                continue  # it went before it was accepted
            self._enter(connection, str(peer[0]), now)

    def _enter(self, connection: socket.socket, host: str, now: float) -> None:
        visitor = Visitor(self, address_of(host))
        goes = self._crowd.enter(visitor, visitor.address, now)
        if goes is visitor:
            self._tally.count("strangers of one address were refused: it has its share")
            connection.close()
            return
        if goes is not None:
            self._tally.count("the oldest strangers were sent away for newcomers")
            goes.hang_up()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.settings.unread_s * 1000))
        visitor.welcome = asyncio.get_running_loop().create_task(self._welcome(visitor, connection))
        self._welcoming.add(visitor.welcome)
        visitor.welcome.add_done_callback(self._welcoming.discard)
        self._expect(visitor)

    async def _welcome(self, visitor: Visitor, connection: socket.socket) -> None:
        loop, server = asyncio.get_running_loop(), self._runner.server
        assert server is not None
        is_secure = self._context is not None
        try:
            await loop.connect_accepted_socket(
                lambda: Handler(self, visitor, server, loop),
                connection,
                ssl=self._context,
                ssl_handshake_timeout=self.settings.request_s if is_secure else None,
                ssl_shutdown_timeout=_GOODBYE_S if is_secure else None,
            )
        except (OSError, asyncio.CancelledError):  # it went, spoke no TLS, or was sent away; aborted by the loop
            self.left(visitor)
        finally:
            visitor.welcome = None

    # --- what visitors do ---

    def _expect(self, visitor: Visitor) -> None:
        """It has so long for its next whole request."""
        if visitor.deadline is not None:
            visitor.deadline.cancel()
        visitor.deadline = asyncio.get_running_loop().call_later(self.settings.request_s, self._too_late, visitor)

    def _too_late(self, visitor: Visitor) -> None:
        self._tally.count("connections that sent no whole request in time were closed")
        visitor.hang_up()

    @web.middleware
    async def _middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        assert isinstance(request.protocol, Handler)
        visitor = request.protocol.visitor
        if visitor.deadline is not None:
            visitor.deadline.cancel()
            visitor.deadline = None
        visitor.requests += 1
        is_last = visitor.requests >= self.settings.stranger_requests
        try:
            response = await handler(request)
        except web.HTTPException as answer:  # nothing is there (404), or not for this method (405)
            if is_last:
                answer.force_close()
            raise
        if isinstance(response, web.FileResponse):
            if not self._crowd.receive(visitor):
                response = web.Response(
                    status=503, text="Too many recordings are being fetched: try again\n", headers={"Retry-After": "5"}
                )
            visitor.received_bytes = 0
        if is_last and not response.prepared:
            response.force_close()
        return response

    def answered(self, visitor: Visitor) -> None:
        """An answer is written."""
        if visitor.transport is not None and not visitor.transport.is_closing():
            self._crowd.served(visitor, asyncio.get_running_loop().time())
            self._expect(visitor)

    def admit(self, visitor: Visitor) -> None:
        """It is a client."""
        visitor.is_stranger = False
        visitor.received_bytes, visitor.bytes_max = 0, self.settings.window_bytes
        visitor.window_began_at = asyncio.get_running_loop().time()
        self._crowd.admit(visitor)
        self._room()

    def left(self, visitor: Visitor) -> None:
        """Its connection is gone."""
        if visitor.deadline is not None:
            visitor.deadline.cancel()
            visitor.deadline = None
        self._crowd.leave(visitor)
        self._room()

    def _room(self) -> None:
        """Somebody is no stranger any more: who waits in the kernel may come."""
        if self._paused is not None and self._crowd.full_until(asyncio.get_running_loop().time()) is None:
            self._paused.cancel()
            self._listen()

    def counted(self, visitor: Visitor) -> None:
        """It sent as much as it may: a stranger in all, a client in its window of time."""
        if visitor.is_stranger:
            self._too_much(visitor, "too many bytes before signalwire.connect")
            return
        now = asyncio.get_running_loop().time()
        if now - visitor.window_began_at < self.settings.window_s:
            self._too_much(visitor, "too many bytes a second")
        visitor.window_began_at, visitor.received_bytes = now, 0

    def _too_much(self, visitor: Visitor, why: str) -> None:
        if visitor.is_refused:
            return
        visitor.is_refused = True
        self._tally.count(f"connections were closed: {why}")
        if visitor.refuse is None:
            visitor.hang_up()
        else:
            visitor.refuse(why)
            visitor.deadline = asyncio.get_running_loop().call_later(_GOODBYE_S, visitor.hang_up)

    def failed(self, request: web.BaseRequest, status: int, error: BaseException | None) -> None:
        """A request could not be answered: by its fault, or by ours."""
        if isinstance(error, ConnectionError):  # the peer went: nobody's fault
            return
        if isinstance(error, HttpProcessingError):
            self._tally.count("requests that are no HTTP were refused")
        elif self._tally.count("requests failed by a fault of the node"):
            _log.error("a request failed by a fault of the node", method=request.method, status=status, exc_info=error)
