"""A WebSocket server byte by byte, for what no library would send: it shakes hands and then does what a test says."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

__all__ = [
    "CLOSE",
    "CONTINUATION",
    "PING",
    "PONG",
    "TEXT",
    "Script",
    "frame",
    "read_frame",
    "serve_raw",
    "shake_hands",
    "take_client",
    "text",
    "until_closed",
    "upgrade",
]

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


def text(**message: Any) -> bytes:
    """A frame with a message of JSON-RPC."""
    return frame(TEXT, json.dumps({"jsonrpc": "2.0", **message}).encode())


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read a client's frame, which is masked: its opcode and payload."""
    head = await reader.readexactly(2)
    size = head[1] & 0x7F
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8))
    key = await reader.readexactly(4)
    payload = await reader.readexactly(size)
    return head[0] & 0xF, bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


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


async def take_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *behind: bytes) -> dict[str, Any]:
    """Accept the socket and the connect on it, in one write with what is to follow: the params of the connect."""
    await shake_hands(reader, writer)
    _, request = await read_frame(reader)
    connect = json.loads(request)
    reply = text(id=connect["id"], result={"protocol": "raw_a"})
    writer.write(reply + b"".join(behind))
    params: dict[str, Any] = connect["params"]
    return params


async def until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read what the client says until it says goodbye, and say so too."""
    while (await read_frame(reader))[0] != CLOSE:
        pass
    writer.write(frame(CLOSE, (1000).to_bytes(2)))
    await writer.drain()


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
