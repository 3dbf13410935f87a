"""A WebSocket of the client (RFC 6455): picows, with parts put together and the reason of an end in words."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import ssl
from collections.abc import Callable
from typing import Final

from aiohappyeyeballs import start_connection
from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from picows.url import WSParsedURL

__all__ = ["Wire", "frame_texts", "open_wire"]

_MAX_MESSAGE_BYTES: Final = 10 * 1024 * 1024
_EYEBALLS_S: Final = 0.25
_MANY: Final = 4
_READS_APART_S: Final = 0.0005
_TEXT: Final = 0x81
_MASKED: Final = 0x80


class Wire(WSListener):
    """``lost`` ends with why nothing more comes. Messages are handed on as they arrive, text and binary as bytes.

    ``outgoing`` takes messages for the next ``flush``. After a read that brought several messages the next waits 0.5 ms
    for more of them: under load a read costs more than what it brings. One call by itself never waits.
    """

    def __init__(self, on_messages: Callable[[list[bytes]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._on_messages = on_messages
        self._transport: WSTransport | None = None
        self.outgoing: list[bytes] = []
        self._messages: list[bytes] = []
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._reason = "the server closed the socket"
        self._resume: asyncio.TimerHandle | None = None

    def flush(self) -> None:
        """Write what is to be sent, all at once: a TLS record and a system call cost more than a message.

        Nothing after the end.
        """
        messages, self.outgoing = self.outgoing, []
        if messages and self._transport is not None and not self.lost.done():
            self._transport.underlying_transport.write(frame_texts(messages))

    async def close(self, timeout_s: float) -> None:
        """Send what was asked, say goodbye, and wait for the other side's, but no longer than this."""
        if self._transport is None:
            return
        if not self.lost.done():
            self.flush()
            self._transport.send_close(WSCloseCode.OK)
            await asyncio.wait({self.lost}, timeout=timeout_s)
        self._transport.disconnect(graceful=False)

    # --- what picows calls ----------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is over."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame; messages go on with the last frame of what was read at once."""
        kind = frame.msg_type
        if kind is WSMsgType.TEXT and frame.fin:
            self._messages.append(frame.get_payload_as_bytes())
        elif kind is WSMsgType.CLOSE:
            self._hand_on()
            self.flush()
            self._end(f"the server closed the socket (code {frame.get_close_code():d})")
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
            return
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._take(frame)
        if frame.last_in_buffer:
            self._hand_on()

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002
        """Nothing more comes."""
        self._hand_on()
        self._end(self._reason)

    def _take(self, frame: WSFrame) -> None:
        self._parts_bytes += frame.payload_size
        if self._parts_bytes > _MAX_MESSAGE_BYTES:
            self._end(f"the server sent a message of more than {_MAX_MESSAGE_BYTES} bytes")
            if self._transport is not None:
                self._transport.send_close(WSCloseCode.MESSAGE_TOO_BIG)
                self._transport.disconnect()
            return
        self._parts.append(frame.get_payload_as_bytes())
        if frame.fin:
            self._messages.append(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
            self._parts, self._parts_bytes = [], 0

    def _hand_on(self) -> None:
        messages, self._messages = self._messages, []
        if messages and not self.lost.done():
            self._on_messages(messages)
            if len(messages) >= _MANY and self._resume is None:
                self._pause()

    def _pause(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()
            self._resume = self._loop.call_later(_READS_APART_S, self._read_on)

    def _read_on(self) -> None:
        self._resume = None
        if self._transport is not None:
            self._transport.underlying_transport.resume_reading()

    def _end(self, reason: str) -> None:
        if self._resume is not None:
            self._resume.cancel()
            self._read_on()
        if not self.lost.done():
            self.lost.set_result(reason)


def frame_texts(messages: list[bytes]) -> bytes:
    """Frame text messages as a client does, each masked with a key of its own (RFC 6455, 5.2 and 5.3)."""
    keys = os.urandom(4 * len(messages))
    number = int.from_bytes
    parts: list[bytes] = []
    at = 0
    for message in messages:
        size, key = len(message), keys[at : at + 4]
        at += 4
        head, ones, spare_bits = _shape(size) if size < 1 << 16 else _shape.__wrapped__(size)
        parts += (head, key, (number(message) ^ (number(key) * ones >> spare_bits)).to_bytes(size))
    return b"".join(parts)


@functools.lru_cache(maxsize=256)
def _shape(size: int) -> tuple[bytes, int, int]:
    """The head of a frame, and what repeats a key over its payload: a one in each 32 bits, less the bits to spare."""
    if size < 126:
        head = bytes((_TEXT, _MASKED | size))
    elif size < 1 << 16:
        head = bytes((_TEXT, _MASKED | 126)) + size.to_bytes(2)
    else:
        head = bytes((_TEXT, _MASKED | 127)) + size.to_bytes(8)
    return head, int.from_bytes(b"\0\0\0\1" * -(-size // 4)), -size % 4 * 8


async def open_wire(url: str, tls: ssl.SSLContext | None, on_messages: Callable[[list[bytes]], None]) -> Wire:
    """Connect and shake hands. Cancelled on the way, it leaves nothing open.

    Raises:
        OSError: nobody is there, TLS failed, or it is no WebSocket server.
    """
    dialled: list[socket.socket] = []

    async def dial(parsed: WSParsedURL) -> socket.socket:
        dialled.append(await _dial(parsed.host, parsed.port))
        return dialled[-1]

    is_open = False
    try:
        _, wire = await ws_connect(
            lambda: Wire(on_messages),
            url,
            ssl_context=tls,
            logger_name="offhook",
            websocket_handshake_timeout=None,
            enable_auto_pong=True,
            max_frame_size=_MAX_MESSAGE_BYTES,
            max_redirects=0,
            socket_factory=dial,
        )
        if not isinstance(wire, Wire):
            raise ConnectionError("the server closed the socket in the handshake")
        is_open = True
    except WSError as error:
        raise ConnectionError(str(error)) from error
    finally:
        if not is_open:
            _hang_up(dialled)
    return wire


async def _dial(host: str, port: int) -> socket.socket:
    """Whichever address answers first (RFC 8305); asyncio's own way leaks a socket when it is cancelled."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return await start_connection(found, happy_eyeballs_delay=_EYEBALLS_S, interleave=1)


def _hang_up(sockets: list[socket.socket]) -> None:
    """End what picows leaves open when its handshake is cancelled: its transport closes once it reads the end."""
    for one in sockets:
        if one.fileno() >= 0:
            with contextlib.suppress(OSError):  # the other side was first
                one.shutdown(socket.SHUT_RDWR)
