"""Strangers at a node's door, all kinds at once, from a process of their own: ``-m rig.strangers HOST PORT SECONDS``.

They know no token. They say when they are many, go on until their input is closed, for SECONDS at most, and print then
what became of it, as JSON.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from rig.node import ROOT

__all__ = ["Strangers"]

SILENT = 1000
SILENT_PER_S = 250
MANY = 300
"""So many sockets that said nothing are a siege."""
HALF_HEADERS = 50
FLOODS = 2
RECONNECT_S = 0.1
MASK = b"\0\0\0\0"
PINGS = (b"\x89\x80" + MASK) * 2000
BIG = json.dumps({"id": "x", "method": "signalwire.ping", "params": {"a": [[]] * 125_000}}).encode()
BIG_FRAME = b"\x81\xff" + len(BIG).to_bytes(8, "big") + MASK + BIG
UNFINISHED = b"\x01\xff" + (1_000_000).to_bytes(8, "big") + MASK + b"x" * 1_000_000


class Crowd:
    """What one process of strangers does."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self.address = (host, port)
        self.until = time.monotonic() + seconds
        self.counts: Counter[str] = Counter()
        self.tls = ssl.create_default_context()
        self.tls.check_hostname = False
        self.tls.verify_mode = ssl.CERT_NONE

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.until

    async def run(self) -> Counter[str]:
        asyncio.get_running_loop().run_in_executor(None, self._listen)
        floods = (PINGS, BIG_FRAME, UNFINISHED)
        work: list[Awaitable[None]] = [self.silent()]
        work += [self.again("half headers", self.half_header) for _ in range(HALF_HEADERS)]
        for name, text in zip(("pings", "big frames", "unfinished"), floods, strict=True):
            work += [self.again(name, partial(self.flood, text)) for _ in range(FLOODS)]
        await asyncio.gather(*work)
        return self.counts

    def _listen(self) -> None:
        sys.stdin.read()
        self.until = min(self.until, time.monotonic())

    async def silent(self) -> None:
        """1,000 sockets that say nothing, and another for each that is closed."""
        held: list[asyncio.StreamWriter] = []
        while not self.is_over:
            held = [writer for writer in held if not writer.is_closing() and not _is_gone(writer)]
            if len(held) < SILENT:
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(1):
                        held.append((await asyncio.open_connection(*self.address))[1])
                    self.counts["silent"] += 1
                    if self.counts["silent"] == MANY:
                        print("many", flush=True)
            await asyncio.sleep(1 / SILENT_PER_S)
        for writer in held:
            writer.close()

    async def again(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while not self.is_over:
            with contextlib.suppress(OSError, TimeoutError, EOFError):
                async with asyncio.timeout(max(0.1, self.until - time.monotonic())):
                    self.counts[name] += 1
                    await work()
            await asyncio.sleep(RECONNECT_S)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(*self.address, ssl=self.tls, server_hostname="localhost")
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def half_header(self) -> None:
        async with self.connected() as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: ")
            await reader.read()

    async def flood(self, text: bytes) -> None:
        """A WebSocket that never connects, and sends as much as it can."""
        async with self.connected() as (reader, writer):
            key = base64.b64encode(os.urandom(16)).decode()
            head = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
            writer.write(f"{head}\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            draining = asyncio.ensure_future(reader.read())
            try:
                while not draining.done():
                    writer.write(text)
                    await writer.drain()
                    await asyncio.sleep(0)  # a TLS transport that is closed takes all and waits for nothing
                    self.counts["megabytes"] += len(text) // 1_000_000
            finally:
                draining.cancel()


def _is_gone(writer: asyncio.StreamWriter) -> bool:
    reader: Any = writer.transport.get_protocol()
    return bool(reader._stream_reader is None or reader._stream_reader.at_eof())


class Strangers:
    """The process, beside a test."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        """``seconds``: at most, from now on."""
        command = [sys.executable, "-m", "rig.strangers", host, str(port), str(seconds)]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'src'}"}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, cwd=ROOT)

    def wait_until_many(self) -> None:
        """On a busy machine they need a while."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"many\n", "there was no siege"

    def close(self) -> dict[str, int]:
        """Tell them to go; what they did."""
        try:
            output, _ = self._process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        assert self._process.returncode == 0
        found: dict[str, int] = json.loads(output)
        return found


if __name__ == "__main__":
    crowd = asyncio.run(Crowd(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])).run())
    sys.stdout.write(json.dumps(crowd))
