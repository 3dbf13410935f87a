"""One WebSocket of a client: frames in order both ways, bounded, watched. It decides nothing."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from offhook.node.gateway.ids import new_event_id
from offhook.node.gateway.settings import GatewaySettings
from offhook.node.gateway.watch import Watch
from offhook.protocol import methods
from offhook.protocol.frames import DisconnectParams, PingParams, Request, dump_frame
from offhook.protocol.params import dump_params

__all__ = ["Connection"]

log = structlog.get_logger(__name__)


class _Outgoing(NamedTuple):
    text: str
    written: Callable[[], None] | None
    is_event: bool


class Connection:
    """Reads and writes one socket.

    ``receive`` gets each text frame and may ask for a pause before the next, as may ``receive_control``, which is told
    of each PING and PONG of the WebSocket.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        settings: GatewaySettings,
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._settings = settings
        self._queue: deque[_Outgoing] = deque()
        self._queued_events = 0
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._flushed = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        self._disconnect_id = ""
        self._disconnect_replied = asyncio.Event()
        self._peer = Watch(settings, self._ping)
        self.is_open = True
        """Frames may still be sent; after the first ``disconnect`` or close nothing leaves any more but replies."""
        self.is_authenticated: Callable[[], bool] = lambda: False
        """Whether a session came of it."""
        self.on_overflow: Callable[[], None] | None = None
        """Called once when the peer reads too slowly."""

    # --- sending: never waits ---

    def send(self, text: str, written: Callable[[], None] | None = None) -> bool:
        """Queue a reply or request; False when the socket is gone. ``written``: called when it went to the socket."""
        return self._put(_Outgoing(text, written, is_event=False))

    def send_event(self, text: str, written: Callable[[], None] | None = None) -> bool:
        """Queue an event; False when the socket is gone or going."""
        if self._ending is not None:
            return False
        return self._put(_Outgoing(text, written, is_event=True))

    def _put(self, outgoing: _Outgoing) -> bool:
        if not self.is_open:
            return False
        self._enqueue(outgoing)
        settings = self._settings
        if self._queued_events > settings.queue_max_events or self._queued_bytes > settings.queue_max_bytes:
            self._overflow()
        return True

    def _enqueue(self, outgoing: _Outgoing) -> None:
        self._queue.append(outgoing)
        self._queued_events += outgoing.is_event
        self._queued_bytes += len(outgoing.text)
        self._wake.set()

    async def room(self) -> None:
        """Wait until the queue is less than half full, or the socket is gone."""
        settings = self._settings
        while self.is_open and (
            self._queued_events * 2 > settings.queue_max_events or self._queued_bytes * 2 > settings.queue_max_bytes
        ):
            self._flushed.clear()
            await self._flushed.wait()

    def _overflow(self) -> None:
        """The peer does not read. Drop its events (they are in the journal) and take leave."""
        if self._ending is not None:
            self.abort()
            return
        log.warning("client reads too slowly", queued=len(self._queue), size_bytes=self._queued_bytes)
        kept = [outgoing for outgoing in self._queue if not outgoing.is_event]
        self._queue.clear()
        self._queue.extend(kept)
        self._queued_events = 0
        self._queued_bytes = sum(len(outgoing.text) for outgoing in kept)
        self.disconnect(restart=False)
        if self.on_overflow is not None:
            self.on_overflow()

    # --- ending ---

    def disconnect(self, *, restart: bool) -> asyncio.Task[None]:
        """Send ``signalwire.disconnect``, await its reply shortly, close (relay-protocol 1.8)."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end(WSCloseCode.GOING_AWAY, ""))
            self._disconnect_id = new_event_id()
            params = dump_params(DisconnectParams(restart=restart))
            goodbye = dump_frame(Request(self._disconnect_id, methods.DISCONNECT, params))
            if self.is_open:  # beyond the bound of the queue: a peer that fills it is told too
                self._enqueue(_Outgoing(goodbye, None, is_event=False))
        return self._ending

    def close_after_reply(self, reason: str) -> None:
        """Let what is queued leave, then close (1008); no reply is awaited."""
        if self._ending is None:
            self._disconnect_replied.set()
            self._ending = asyncio.get_running_loop().create_task(self._end(WSCloseCode.POLICY_VIOLATION, reason))

    async def _end(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(self._settings.disconnect_timeout_s):
                await self._disconnect_replied.wait()
                while self._queue and self.is_open:
                    self._flushed.clear()
                    await self._flushed.wait()
                await self._socket.close(code=code, message=reason.encode())
        except TimeoutError:
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Drop the socket at once."""
        self.is_open = False
        self._wake.set()
        self._flushed.set()
        if self._transport is not None:
            self._transport.abort()

    def hail(self) -> None:
        """Ask the peer for a word: a ping, which it must answer (relay-protocol 1.7)."""
        self._peer.hail()

    def took_reply(self, frame_id: object) -> bool:
        """Say whether a response answers a ping or disconnect of this connection, and take it."""
        if frame_id == self._disconnect_id and self._disconnect_id:
            self._disconnect_replied.set()
            return True
        return self._peer.took_answer(frame_id)

    # --- the socket ---

    async def serve(self, receive: Callable[[str], float], receive_control: Callable[[], float] = lambda: 0.0) -> None:
        """Read until the socket ends, with a writer and a watch beside."""
        loop = asyncio.get_running_loop()
        self._peer.heard()
        beside = [loop.create_task(self._write()), loop.create_task(self._watch())]
        for task in beside:
            task.add_done_callback(self._beside_ended)
        try:
            await self._read(receive, receive_control)
        except ConnectionError:  # it went while it was answered
            self.abort()
        finally:
            self.is_open = False
            self._flushed.set()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            self._settle_unwritten()
            if self._ending is not None:
                self._disconnect_replied.set()
                await asyncio.gather(self._ending, return_exceptions=True)

    def _beside_ended(self, task: asyncio.Task[None]) -> None:
        """A socket without its writer or its watch is of no use."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("connection failed", exc_info=error)
            self.abort()

    def _settle_unwritten(self) -> None:
        """What was not written never will be; who waits for a reply's leaving must not wait for ever."""
        while self._queue:
            outgoing = self._queue.popleft()
            if outgoing.written is not None and not outgoing.is_event:
                outgoing.written()

    async def _read(self, receive: Callable[[str], float], receive_control: Callable[[], float]) -> None:
        while True:
            message = await self._socket.receive()
            self._peer.heard()
            if message.type is WSMsgType.TEXT:
                if pause_s := receive(message.data):
                    await self._peer.deafen(pause_s)
            elif message.type in (WSMsgType.PING, WSMsgType.PONG):
                if pause_s := receive_control():
                    await self._peer.deafen(pause_s)
                if message.type is WSMsgType.PING:
                    await self._socket.pong(message.data)
            elif message.type is WSMsgType.BINARY:
                await self._socket.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"text frames only")
                return
            else:
                return

    async def _write(self) -> None:
        try:
            while True:
                while self._queue:
                    outgoing = self._queue[0]  # it stays until it is written: if it never is, ``serve`` settles it
                    await self._socket.send_str(outgoing.text)
                    if self._queue and self._queue[0] is outgoing:  # an overflow drops events meanwhile
                        self._queue.popleft()
                        self._queued_events -= outgoing.is_event
                        self._queued_bytes -= len(outgoing.text)
                    if outgoing.written is not None:
                        outgoing.written()
                    self._flushed.set()
                self._wake.clear()
                await self._wake.wait()
        except ConnectionError:
            self.abort()

    async def _watch(self) -> None:
        if why := await self._peer.until_dead():
            log.info("client answers no ping")
            self.close_after_reply(why)
        else:
            log.info("client went silent")
            self.abort()

    def _ping(self, frame_id: str) -> None:
        self.send(dump_frame(Request(frame_id, methods.PING, dump_params(PingParams(timestamp=time.time())))))
