"""A WebSocket of the client (RFC 6455): picows, with parts put together and the reason of an end in words."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

__all__ = ["Wire", "open_wire"]

_MAX_MESSAGE_BYTES: Final = 10 * 1024 * 1024
_EYEBALLS_S: Final = 0.25


class Wire(WSListener):
    """``lost`` ends with why nothing more comes. Messages are handed on as they arrive, text and binary as bytes."""

    def __init__(self, on_messages: Callable[[list[bytes]], None]) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._on_messages = on_messages
        self._transport: WSTransport | None = None
        self._messages: list[bytes] = []
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._reason = "the server closed the socket"

    def send(self, text: str) -> None:
        """Send a message; nothing after the end."""
        if self._transport is not None and not self.lost.done():
            self._transport.send(WSMsgType.TEXT, text.encode())

    async def close(self, timeout_s: float) -> None:
        """Send what was asked, say goodbye, and wait for the other side's, but no longer than this."""
        if self._transport is None:
            return
        if not self.lost.done():
            self._transport.send_close(WSCloseCode.OK)
            await asyncio.wait({self.lost}, timeout=timeout_s)
        self._transport.disconnect(graceful=False)

    # --- what picows calls ----------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is over."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame; messages go on with the last frame of what was read at once."""
        if frame.msg_type == WSMsgType.CLOSE:
            self._hand_on()
            self._end(f"the server closed the socket (code {frame.get_close_code():d})")
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
            return
        if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
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

    def _end(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)


async def open_wire(url: str, tls: ssl.SSLContext | None, on_messages: Callable[[list[bytes]], None]) -> Wire:
    """Connect and shake hands.

    Raises:
        OSError: nobody is there, TLS failed, or it is no WebSocket server.
    """
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
            use_aiofastnet=False,
            happy_eyeballs_delay=_EYEBALLS_S,
        )
    except WSError as error:
        raise ConnectionError(str(error)) from error
    if not isinstance(wire, Wire):
        raise ConnectionError("the server closed the socket in the handshake")
    return wire
