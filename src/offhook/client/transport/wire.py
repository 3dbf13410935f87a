"""A WebSocket of the client (RFC 6455): picows, with parts put together and the reason of an end in words."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import Callable
from typing import Final

from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport

__all__ = ["MAX_MESSAGE_BYTES", "Wire", "frame_texts"]

log = logging.getLogger("offhook.client")

MAX_MESSAGE_BYTES: Final = 10 * 1024 * 1024
_MAX_PARTS: Final = 16_384
"""Frames of one message: also those without a byte take their time."""

_MAX_UNSENT_BYTES: Final = 16 * 1024 * 1024
"""What may wait to be written for a server that does not read."""

_CHECK_EACH_BYTES: Final = 64 * 1024
"""How much is written before that is looked at: with TLS a look takes longer than a message."""

_GONE_S: Final = 1.0
_MANY: Final = 4
_READS_APART_S: Final = 0.0005
_TEXT: Final = 0x81
_MASKED: Final = 0x80


class Wire(WSListener):
    """``lost`` ends with why nothing more comes. From ``begin`` on messages are handed on, text and binary as bytes.

    ``outgoing`` takes messages for the next ``flush``. After a read that brought several messages the next waits 0.5 ms
    for more of them: under load a read costs more than what it brings. One call by itself never waits.
    """

    def __init__(self, on_messages: Callable[[list[bytes]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._on_messages = on_messages
        self._transport: WSTransport | None = None
        self.outgoing: list[bytes] = []
        self._has_begun = False
        self._messages: list[bytes] = []
        self._parts = bytearray()
        self._parts_count = 0
        self._ping: bytes | None = None
        self._unchecked_bytes = 0
        self._reason = "the server closed the socket"
        self._resume: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Hand messages on, those first that came with the handshake."""
        self._has_begun = True
        self._hand_on()

    def flush(self) -> None:
        """Write what is to be sent, all at once: a TLS record and a system call cost more than a message.

        Nothing after the end, which is also when too much waits for a server that does not read.
        """
        messages, self.outgoing = self.outgoing, []
        if messages and self._transport is not None and not self.lost.done():
            data = frame_texts(messages)
            self._unchecked_bytes += len(data)
            if self._unchecked_bytes < _CHECK_EACH_BYTES or self._has_room(self._transport):
                self._transport.underlying_transport.write(data)

    async def close(self, timeout_s: float) -> None:
        """Send what was asked, say goodbye, and wait for the other side's, but no longer than this."""
        if self._transport is None:
            return
        if not self.lost.done():
            self.flush()
            self._transport.send_close(WSCloseCode.OK)
            await asyncio.wait({self.lost}, timeout=timeout_s)
        self._transport.disconnect(graceful=False)
        await self._wait_gone(self._transport)

    async def _wait_gone(self, transport: WSTransport) -> None:
        """Wait until picows is done, and take from it what went wrong: else asyncio says that nobody asked."""
        try:
            async with asyncio.timeout(_GONE_S):
                await transport.wait_disconnected()
        except WSError as error:
            log.warning("the server broke the rules of WebSocket: %s", error)
        except TimeoutError:
            log.warning("a socket that was aborted did not end in %g s", _GONE_S)
        except Exception:  # the wall: it comes out of the library, and the next socket may be well
            log.exception("a message from the server could not be handled: this is a bug")

    # --- what picows calls ----------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is over."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame; messages go on with the last frame of what was read at once, whatever that one is."""
        if self.lost.done():
            return  # what was read behind the end
        kind = frame.msg_type
        if kind is WSMsgType.TEXT and frame.fin:
            self._messages.append(frame.get_payload_as_bytes())
        elif kind is WSMsgType.CLOSE:
            self._take_close(transport, frame)
            return
        elif kind is WSMsgType.PING:
            self._ping = frame.get_payload_as_bytes()
        elif kind is not WSMsgType.PONG:
            self._take(frame)
        if frame.last_in_buffer:
            self._hand_on()
            if self._ping is not None:
                self._answer_ping(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002
        """Nothing more comes."""
        self._hand_on()
        self._end(self._reason)

    def _take(self, frame: WSFrame) -> None:
        self._parts_count += 1
        if len(self._parts) + frame.payload_size > MAX_MESSAGE_BYTES:
            self._refuse(f"the server sent a message of more than {MAX_MESSAGE_BYTES} bytes")
        elif self._parts_count > _MAX_PARTS:
            self._refuse(f"the server sent a message in more than {_MAX_PARTS} parts")
        else:
            self._parts += frame.get_payload_as_memoryview()
            if frame.fin:
                self._messages.append(bytes(self._parts))
                self._parts, self._parts_count = bytearray(), 0

    def _refuse(self, reason: str) -> None:
        self._end(reason)
        if self._transport is not None:
            self._transport.send_close(WSCloseCode.MESSAGE_TOO_BIG)
            self._transport.disconnect()

    def _take_close(self, transport: WSTransport, frame: WSFrame) -> None:
        self._hand_on()
        self.flush()
        self._end(f"the server closed the socket (code {frame.get_close_code():d})")
        transport.send_close(WSCloseCode.OK)
        transport.disconnect()

    def _answer_ping(self, transport: WSTransport) -> None:
        """One pong for all that were read at once (RFC 6455, 5.5.3)."""
        ping, self._ping = self._ping, None
        if not self.lost.done() and self._has_room(transport):
            transport.send_pong(ping)

    def _has_room(self, transport: WSTransport) -> bool:
        """Not too much waits to be written; else it is the end, at once."""
        self._unchecked_bytes = 0
        unsent = transport.underlying_transport.get_write_buffer_size()
        if unsent <= _MAX_UNSENT_BYTES:
            return True
        self._end(f"the server does not read: {unsent} bytes wait to be written")
        transport.disconnect(graceful=False)
        return False

    def _hand_on(self) -> None:
        if not self._has_begun:
            return
        messages, self._messages = self._messages, []
        if messages:
            self._on_messages(messages)
            if len(messages) >= _MANY and self._resume is None and not self.lost.done():
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
