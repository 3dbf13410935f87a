"""A TCP proxy that cuts connections at chosen byte counts: a client loses its socket in the middle of anything."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass, field

__all__ = ["Chopper"]


@dataclass
class Chopper:
    """Forwards bytes to ``remote``; each connection gets a budget of bytes and is reset when it is spent.

    A share of the budgets ends ``early``, while the client still shakes hands; the others ``later``.
    """

    remote: tuple[str, int]
    seed: int
    cuts_wanted: int
    early: tuple[int, int] = (500, 5_000)
    later: tuple[int, int] = (9_000, 40_000)
    early_share: float = 0.1
    cuts: int = 0
    connections: int = 0
    port: int = 0
    armed: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def __aenter__(self) -> Chopper:
        self._dice = random.Random(self.seed)
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            reset(writer)
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        self._writers.append(writer)
        upstream_reader, upstream_writer = await asyncio.open_connection(*self.remote)
        self._writers.append(upstream_writer)
        span = self.early if self._dice.random() < self.early_share else self.later
        budget = Budget(self._dice.randint(*span))
        both = [
            asyncio.create_task(self._pump(reader, upstream_writer, budget)),
            asyncio.create_task(self._pump(upstream_reader, writer, budget)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in both:
                pump.cancel()
            for side in (writer, upstream_writer):
                reset(side)
        if budget.spent:
            self.cuts += 1
            if self.cuts >= self.cuts_wanted:
                self.done.set()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: Budget) -> None:
        try:
            while data := await reader.read(65536):
                if self.armed and self.cuts < self.cuts_wanted:
                    taken = data[: budget.left]
                    budget.left -= len(data)
                    writer.write(taken)
                    if budget.left <= 0:
                        budget.spent = True
                        await asyncio.wait_for(writer.drain(), 1)
                        return
                else:
                    writer.write(data)
                await writer.drain()
        except ConnectionError:
            return


@dataclass
class Budget:
    """Bytes (both ways) that a connection still lives."""

    left: int
    spent: bool = False


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a network that went away."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
