"""How the client's WebSocket is opened: a name looked up, an address that answers, TLS and the handshake."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Final

from aiohappyeyeballs import start_connection
from picows import WSError, ws_connect
from picows.url import WSParsedURL

from offhook.client.transport.resolving import Resolver
from offhook.client.transport.wire import MAX_MESSAGE_BYTES, Wire

__all__ = ["Resolver", "open_wire"]

_EYEBALLS_S: Final = 0.25


async def open_wire(
    url: str, tls: ssl.SSLContext | None, on_messages: Callable[[list[bytes]], None], resolver: Resolver
) -> Wire:
    """Connect and shake hands; then ``Wire.begin``. Cancelled on the way, it leaves nothing open.

    Raises:
        OSError: nobody is there, TLS failed, or it is no WebSocket server.
    """
    dialled: list[socket.socket] = []

    async def dial(parsed: WSParsedURL) -> socket.socket:
        dialled.append(await _dial(parsed.host, parsed.port, resolver))
        return dialled[-1]

    is_open = False
    try:
        _, wire = await ws_connect(
            lambda: Wire(on_messages),
            url,
            ssl_context=tls,
            logger_name="offhook",
            websocket_handshake_timeout=None,
            enable_auto_pong=False,  # picows would keep the PING for itself, and with it what is last in a read
            max_frame_size=MAX_MESSAGE_BYTES,
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


async def _dial(host: str, port: int, resolver: Resolver) -> socket.socket:
    """Whichever address answers first (RFC 8305); asyncio's own way leaks a socket when it is cancelled."""
    found = await resolver.look_up(host, port)
    return await start_connection(found, happy_eyeballs_delay=_EYEBALLS_S, interleave=1)


def _hang_up(sockets: list[socket.socket]) -> None:
    """End what picows leaves open when its handshake is cancelled: its transport closes once it reads the end."""
    for one in sockets:
        if one.fileno() >= 0:
            with contextlib.suppress(OSError):  # the other side was first
                one.shutdown(socket.SHUT_RDWR)
