"""The client's side of a WebSocket (RFC 6455) without IO: bytes in; messages, bytes to send and the end out.

Text and binary messages come out as bytes; pings are answered; what breaks the protocol ends it. No extensions.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Final

__all__ = ["HandshakeRefused", "WebSocket", "mask"]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MAX_HEAD_BYTES: Final = 16 * 1024

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_WHOLE_TEXT: Final = 0x80 | _TEXT
_NORMAL: Final = 1000
_PROTOCOL_ERROR: Final = 1002
_NO_CODE: Final = 1005
_TOO_BIG: Final = 1009


class HandshakeRefused(Exception):
    """The server did not open a WebSocket; says why."""


class _Broken(Exception):
    """The server broke the protocol; ``code`` goes into the close frame."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class WebSocket:
    """One connection. ``outgoing`` is what to send; ``closing`` says why no message follows, None until then.

    ``random`` gives so many unpredictable bytes: for the key and the masks.
    """

    def __init__(self, host: str, random: Callable[[int], bytes], *, max_message_bytes: int) -> None:
        self.outgoing = bytearray()
        self.is_open = False
        self.closing: str | None = None
        self._random = random
        self._max_bytes = max_message_bytes
        self._buffer = bytearray()
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._is_fragmented = False
        self._has_sent_close = False
        key = base64.b64encode(random(16))
        self._accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        self.outgoing += (
            f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode("ascii")

    def send(self, text: str) -> None:
        """Send a text message; nothing after a close."""
        if not self._has_sent_close:
            self._frame(_TEXT, text.encode())

    def close(self, code: int = _NORMAL) -> None:
        """Say goodbye, once."""
        if self.is_open and not self._has_sent_close:
            self._frame(_CLOSE, code.to_bytes(2, "big"))
            self._has_sent_close = True

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes of the server: the messages that are complete with them.

        Raises:
            HandshakeRefused: before the WebSocket is open.
        """
        self._buffer += data
        if not self.is_open and not self._open():
            return []
        messages: list[bytes] = []
        try:
            while self.closing is None and self._next(messages):
                pass
        except _Broken as fault:
            self.close(fault.code)
            self.closing = f"the server broke the WebSocket protocol: {fault}"
        return messages

    # --- the handshake (section 4.1) ------------------------------------------------------------------------

    def _open(self) -> bool:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            if len(self._buffer) > _MAX_HEAD_BYTES:
                raise HandshakeRefused("the server's answer has no end")
            return False
        status, *lines = head.decode("latin-1").split("\r\n")
        protocol, _, answer = status.partition(" ")
        if not protocol.startswith("HTTP/1."):
            raise HandshakeRefused("the server does not speak HTTP")
        if not answer.startswith("101"):
            raise HandshakeRefused(f"the server answered {answer.strip()} instead of opening a WebSocket")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if fields.get("upgrade", "").lower() != "websocket" or "upgrade" not in fields.get("connection", "").lower():
            raise HandshakeRefused("the server's answer is no upgrade to a WebSocket")
        if fields.get("sec-websocket-accept", "").encode("latin-1") != self._accept:
            raise HandshakeRefused("the server's answer is not to our handshake")
        if fields.get("sec-websocket-extensions"):
            raise HandshakeRefused("the server wants an extension that was not offered")
        self._buffer = rest
        self.is_open = True
        return True

    # --- frames (section 5) ---------------------------------------------------------------------------------

    def _next(self, messages: list[bytes]) -> bool:
        """Take one frame; False: more bytes are needed."""
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        first, second = buffer[0], buffer[1]
        if first & 0x70:
            raise _Broken(_PROTOCOL_ERROR, "a reserved bit is set")
        if second & 0x80:
            raise _Broken(_PROTOCOL_ERROR, "a frame is masked")
        length, start = second & 0x7F, 2
        if length > 125:
            size = 2 if length == 126 else 8
            start += size
            if len(buffer) < start:
                return False
            length = int.from_bytes(buffer[2:start], "big")
        if first == _WHOLE_TEXT and not self._is_fragmented and length <= self._max_bytes:
            if len(buffer) < start + length:  # what most frames are: all that is checked below holds
                return False
            messages.append(bytes(buffer[start : start + length]))
            del buffer[: start + length]
            return True
        code = first & 0x0F
        self._check(code, length, is_last=bool(first & 0x80))
        if len(buffer) < start + length:
            return False
        payload = bytes(buffer[start : start + length])
        del buffer[: start + length]
        self._take(code, payload, is_last=bool(first & 0x80), messages=messages)
        return True

    def _check(self, code: int, length: int, *, is_last: bool) -> None:
        if code >= _CLOSE:
            if length > 125 or not is_last or code > _PONG:
                raise _Broken(_PROTOCOL_ERROR, "a control frame is wrong")
        elif code > _BINARY or (code == _CONTINUATION) is not self._is_fragmented:
            raise _Broken(_PROTOCOL_ERROR, "a frame is out of its order")
        elif self._parts_bytes + length > self._max_bytes:
            raise _Broken(_TOO_BIG, f"a message is longer than {self._max_bytes} bytes")

    def _take(self, code: int, payload: bytes, *, is_last: bool, messages: list[bytes]) -> None:
        if code == _PING:
            if not self._has_sent_close:
                self._frame(_PONG, payload)
        elif code == _CLOSE:
            said = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else _NO_CODE
            self.close()
            self.closing = f"the server closed the socket (code {said})"
        elif code == _PONG:
            return
        elif is_last and not self._is_fragmented:
            messages.append(payload)
        else:
            self._parts.append(payload)
            self._parts_bytes += len(payload)
            self._is_fragmented = not is_last
            if is_last:
                messages.append(b"".join(self._parts))
                self._parts, self._parts_bytes = [], 0

    def _frame(self, code: int, payload: bytes) -> None:
        length = len(payload)
        out = self.outgoing
        out.append(0x80 | code)
        if length < 126:
            out.append(0x80 | length)
        elif length < 1 << 16:
            out.append(0x80 | 126)
            out += length.to_bytes(2, "big")
        else:
            out.append(0x80 | 127)
            out += length.to_bytes(8, "big")
        key = self._random(4)
        out += key
        out += mask(payload, key)


def mask(payload: bytes, key: bytes) -> bytes:
    """Mask or unmask a payload with a key of four bytes (section 5.3)."""
    length = len(payload)
    if not length:
        return b""
    whole = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(whole, "little")).to_bytes(length, "little")
