"""A real node for tests: ``offhook dev`` as a process of its own, on free ports of loopback.

async with DevNode(Path("app.py")) as node, Phone() as phone:
    call = await phone.call(node.uri)
    await call.hears_energy(within_s=3)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from pathlib import Path
from typing import Self

import msgspec

from offhook.errors import MachineError

__all__ = ["DevNode"]

_START_S = 30.0
_END_S = 15.0
_LINES_KEPT = 2000
_FAILURES = ("the program failed", "the program ended before it took calls", "the program cannot be started")


class _Relay(msgspec.Struct, frozen=True):
    host: str
    project: str
    token: str


class _Sip(msgspec.Struct, frozen=True):
    udp: str
    tcp: str


class _Ready(msgspec.Struct, frozen=True):
    """The line of ``offhook dev --json``."""

    relay: _Relay
    ca_file: str
    sip: _Sip
    http: str


class DevNode:
    """Starts with ``async with``, ready when it takes calls (with a program: when that takes calls).

    When the process (or the thread) that started it is gone, it is killed with all that it started (on Linux).

    Args:
        program: Python file that answers; without one, connect a client with ``environment``.
        state_dir: where certificates, journal and recordings are kept; otherwise a directory removed at the end.
        python: interpreter for the program, by default this one.

    Raises:
        MachineError: it did not start within 30 s, or the program failed; has the end of the log.
    """

    def __init__(
        self, program: Path | None = None, *, state_dir: Path | None = None, python: str = sys.executable
    ) -> None:
        self.log: deque[str] = deque(maxlen=_LINES_KEPT)
        """What node and program wrote to standard error, by lines."""
        self._program = program
        self._state_dir = state_dir
        self._python = python
        self._stack = contextlib.AsyncExitStack()
        self._failed = asyncio.Event()
        self._ready: _Ready

    def __repr__(self) -> str:
        return f"DevNode(program={self._program and self._program.name!r})"

    @property
    def uri(self) -> str:
        """What a phone dials."""
        return f"sip:test@{self._ready.sip.udp}"

    @property
    def ca_file(self) -> Path:
        """The authority of its certificate, for HTTPS."""
        return Path(self._ready.ca_file)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that point a ``RelayClient`` at it."""
        relay = self._ready.relay
        return {
            "OFFHOOK_PROJECT_ID": relay.project,
            "OFFHOOK_API_TOKEN": relay.token,
            "OFFHOOK_SPACE": relay.host,
            "OFFHOOK_RELAY_CA_FILE": self._ready.ca_file,
        }

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            state = self._state_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oh-dev-")))
            process = await asyncio.create_subprocess_exec(
                *self._command(state), stdin=DEVNULL, stdout=PIPE, stderr=PIPE
            )
            listening = asyncio.create_task(self._listen(process), name="log of offhook dev")
            stack.push_async_callback(_end, process, listening)
            self._ready = await self._wait_ready(process, listening)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _command(self, state: Path) -> list[str]:
        program = [str(self._program)] if self._program is not None else []
        ports = ["--sip-port", "0", "--relay-port", "0"]
        options = ["--json", "--state-dir", str(state), "--python", self._python, "--parent", str(os.getpid()), *ports]
        return [sys.executable, "-m", "offhook.node.cli", "dev", *program, *options]

    async def _wait_ready(self, process: Process, listening: asyncio.Task[None]) -> _Ready:
        assert process.stdout is not None
        line = asyncio.create_task(process.stdout.readline())
        failed = asyncio.create_task(self._failed.wait())
        try:
            await asyncio.wait({line, failed}, timeout=_START_S, return_when=asyncio.FIRST_COMPLETED)
            if line.done() and line.result():
                return msgspec.json.decode(line.result(), type=_Ready)
            if line.done():  # it ended: all that it said is to be heard
                await listening
        finally:
            for task in (line, failed):
                task.cancel()
            await asyncio.gather(line, failed, return_exceptions=True)
        raise MachineError("offhook dev is not ready:\n" + "\n".join(list(self.log)[-20:]))

    async def _listen(self, process: Process) -> None:
        assert process.stderr is not None
        while True:
            try:
                line = await process.stderr.readline()
            except ValueError:  # longer than the reader's limit: left out
                continue
            if not line:
                return
            self.log.append(line.decode("utf-8", "replace").rstrip())
            if any(words in self.log[-1] for words in _FAILURES):
                self._failed.set()


async def _end(process: Process, listening: asyncio.Task[None]) -> None:
    """Ask it to end, and kill what does not."""
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    await listening
