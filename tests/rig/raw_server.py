"""A WebSocket server byte by byte, for what no library would send: it shakes hands and then does what a test says."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["CLOSE", "CONTINUATION", "PING", "PONG", "TEXT", "Script", "frame", "serve_raw", "shake_hands", "upgrade"]

CONTINUATION, TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A frame as servers send them, unmasked (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        head = bytes((fin << 7 | opcode, size))
    elif size < 1 << 16:
        head = bytes((fin << 7 | opcode, 126)) + size.to_bytes(2)
    else:
        head = bytes((fin << 7 | opcode, 127)) + size.to_bytes(8)
    return head + payload


async def upgrade(reader: asyncio.StreamReader) -> bytes:
    """Read the request; the reply that accepts it (RFC 6455, 4.2.2)."""
    request = await reader.readuntil(b"\r\n\r\n")
    [key] = [line[18:].strip() for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")]
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"


async def shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept the socket."""
    writer.write(await upgrade(reader))


@contextlib.asynccontextmanager
async def serve_raw(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Play the script on each connection, on loopback: the port. A client that goes ends its script."""
    playing: set[asyncio.Task[None]] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await script(reader, writer)
        finally:
            writer.transport.abort()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(play(reader, writer))
        playing.add(task)
        task.add_done_callback(playing.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the next turn
