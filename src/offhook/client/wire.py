"""A WebSocket on a TCP or TLS connection: asyncio's part of the session's driver."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from offhook.client.websocket import HandshakeRefused, WebSocket

__all__ = ["Wire", "open_wire"]

_MAX_MESSAGE_BYTES: Final = 10 * 1024 * 1024
_EYEBALLS_S: Final = 0.25


class Wire(asyncio.Protocol):
    """``lost`` ends with why nothing more comes. What is sent in one turn of the loop goes out in one piece."""

    def __init__(self, host: str, on_messages: Callable[[list[bytes]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._socket = WebSocket(host, os.urandom, max_message_bytes=_MAX_MESSAGE_BYTES)
        self._on_messages = on_messages
        self._transport: asyncio.Transport | None = None
        self._flushing: asyncio.Handle | None = None
        self._is_paused = False

    def send(self, text: str) -> None:
        """Send a message."""
        self._socket.send(text)
        self._flush_soon()

    async def close(self, timeout_s: float) -> None:
        """Send what was asked, say goodbye, and wait for the other side's, but no longer than this."""
        if self._transport is None:
            return
        self._socket.close()
        self._flush()
        if not self.lost.done():
            await asyncio.wait({self.lost}, timeout=timeout_s)
        self._transport.abort()

    # --- what asyncio calls ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take bytes; messages go on at once."""
        if self.lost.done():
            return
        was_open = self._socket.is_open
        try:
            messages = self._socket.receive(data)
        except HandshakeRefused as refusal:
            self._end(refusal)
            return
        if self._socket.is_open and not was_open and not self.opened.done():
            self.opened.set_result(None)
        if self._socket.outgoing:
            self._flush_soon()
        if messages:
            self._on_messages(messages)
        if self._socket.closing is not None:
            self._flush()
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        self._end(exc)

    def pause_writing(self) -> None:
        """The other side does not read: keep what is to be sent."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._is_paused = False
        self._flush()

    def _end(self, error: Exception | None) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if not self.opened.done():
            self.opened.set_exception(error or ConnectionResetError("the server closed the socket in the handshake"))
            self.opened.exception()  # read here: whoever opens it may have gone
        if not self.lost.done():
            reason = self._socket.closing or (str(error) if error else "") or "the server closed the socket"
            self.lost.set_result(reason)
        if self._transport is not None:
            self._transport.close()

    def _flush_soon(self) -> None:
        if self._flushing is None:
            self._flushing = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if self._transport is not None and not self._is_paused and self._socket.outgoing:
            data = bytes(self._socket.outgoing)
            self._socket.outgoing.clear()
            self._transport.write(data)


async def open_wire(url: str, tls: ssl.SSLContext | None, on_messages: Callable[[list[bytes]], None]) -> Wire:
    """Connect and shake hands.

    Raises:
        OSError: nobody is there, or TLS failed.
        HandshakeRefused: it is no WebSocket server.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode("ascii")
    name = f"[{host}]" if ":" in host else host
    port = parts.port or (80 if tls is None else 443)
    loop = asyncio.get_running_loop()
    _, wire = await loop.create_connection(
        lambda: Wire(f"{name}:{port}", on_messages), host, port, ssl=tls, happy_eyeballs_delay=_EYEBALLS_S
    )
    try:
        await wire.opened
    except BaseException:
        await wire.close(0)
        raise
    return wire
