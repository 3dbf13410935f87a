"""What a supervisor and its node say to each other: lines of JSON over a socket that the node inherits."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import msgspec

from offhook.errors import PeerError
from offhook.node.config.settings import Settings
from offhook.node.state.directory import Identity, ReadyNode

__all__ = [
    "Alive",
    "Boot",
    "Idle",
    "NodeMessage",
    "Ready",
    "Retire",
    "Serve",
    "Subscribed",
    "Supervision",
    "SupervisorMessage",
]

_MAX_LINE = 1 << 20
_UNREAD_BYTES = 1 << 16


class Boot(msgspec.Struct, frozen=True, tag="boot"):
    """First of all: everything that a node needs. Ports in ``settings`` are never 0."""

    settings: Settings
    identity: Identity
    secret: bytes
    epoch: int

    def __repr__(self) -> str:
        return f"Boot(epoch={self.epoch})"


class Serve(msgspec.Struct, frozen=True, tag="serve"):
    """Offer calls to clients that came with an app's token (its index), again."""

    slot: int


class Retire(msgspec.Struct, frozen=True, tag="retire"):
    """Offer no more calls to clients that came with an app's token (its index)."""

    slot: int


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The node listens and is connected to the engine."""

    node: ReadyNode


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    """The node's loop turns: said each second from its boot on, by nothing but the loop itself."""


class Subscribed(msgspec.Struct, frozen=True, tag="subscribed"):
    """A client with an app's token (its index) would take calls now."""

    slot: int


class Idle(msgspec.Struct, frozen=True, tag="idle"):
    """A retired app has no calls."""

    slot: int


SupervisorMessage = Boot | Serve | Retire
NodeMessage = Ready | Alive | Subscribed | Idle

_SUPERVISOR_DECODER: msgspec.json.Decoder[SupervisorMessage] = msgspec.json.Decoder(SupervisorMessage)
_NODE_DECODER: msgspec.json.Decoder[NodeMessage] = msgspec.json.Decoder(NodeMessage)


class Supervision:
    """One end. ``send`` never waits; the other end's are iterated over, until it is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, connected: socket.socket) -> Supervision:
        """From a connected socket, which it then owns."""
        connected.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=connected, limit=_MAX_LINE))

    def send(self, message: SupervisorMessage | NodeMessage) -> None:
        """Say something; to nobody, when the other end is gone."""
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\n")

    async def beat(self, every_s: float) -> None:
        """Say again and again that this loop turns, unless the other end does not read."""
        while True:
            if self._writer.transport.get_write_buffer_size() < _UNREAD_BYTES:
                self.send(Alive())
            await asyncio.sleep(every_s)

    async def from_supervisor(self) -> AsyncIterator[SupervisorMessage]:
        """What the supervisor says."""
        async for line in self._lines():
            try:
                yield _SUPERVISOR_DECODER.decode(line)
            except msgspec.DecodeError as error:
                raise _garbled(error) from error

    async def from_node(self) -> AsyncIterator[NodeMessage]:
        """What the node says."""
        async for line in self._lines():
            try:
                yield _NODE_DECODER.decode(line)
            except msgspec.DecodeError as error:
                raise _garbled(error) from error

    def close(self) -> None:
        """Let go."""
        self._writer.close()

    async def _lines(self) -> AsyncIterator[bytes]:
        while line := await self._line():
            yield line

    async def _line(self) -> bytes:
        try:
            return await self._reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""


def _garbled(error: msgspec.DecodeError) -> PeerError:
    return PeerError(f"a line between supervisor and node is not understood: {error}")
