"""Starting the engine's program: where it is, what it is told, and the pipes it inherits."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import sys
from asyncio.subprocess import Process
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Literal

import msgspec

from offhook.errors import ConfigurationError, MachineError

__all__ = ["EngineLine", "EngineOptions", "LaunchedEngine", "find_engine", "launch_engine"]

EngineLine = Callable[[bytes], None]
"""Takes one line of the engine's log: a JSON object with ``level`` and ``event``, or the words of a panic."""

_READY_S = 10.0
_LAST_WORDS = 5
_LINE_BYTES = 16 << 10


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Its command line (crates/engine/src/config.rs). Directories must exist, the socket's with mode 0700."""

    socket: Path
    prompts: Path
    recordings: Path
    sip_udp: str = "127.0.0.1:0"
    sip_tcp: str = "127.0.0.1:0"
    rtp_ip: str = "127.0.0.1"
    rtp_ports: tuple[int, int] = (20000, 29999)
    trust: tuple[str, ...] = ()
    orphan_s: float = 30.0
    media_timeout_s: float = 60.0
    tcp_idle_s: float = 120.0
    max_calls: int = 2000
    log_level: Literal["info", "debug"] = "info"

    def arguments(self) -> list[str]:
        """Flags and values, without the descriptors."""
        pairs = [
            ("--socket", str(self.socket)),
            ("--prompts", str(self.prompts)),
            ("--recordings", str(self.recordings)),
            ("--sip-udp", self.sip_udp),
            ("--sip-tcp", self.sip_tcp),
            ("--rtp-ip", self.rtp_ip),
            ("--rtp-ports", f"{self.rtp_ports[0]}-{self.rtp_ports[1]}"),
            *(("--trust", network) for network in self.trust),
            ("--orphan-s", f"{self.orphan_s:g}"),
            ("--media-timeout-s", f"{self.media_timeout_s:g}"),
            ("--tcp-idle-s", f"{self.tcp_idle_s:g}"),
            ("--max-legs", str(self.max_calls)),
            ("--log-level", self.log_level),
        ]
        return [word for pair in pairs for word in pair]


class LaunchedEngine:
    """A running engine. It ends its calls and itself when ``end`` is called, and when our process is gone."""

    def __init__(self, process: Process, lifeline: int, hear: EngineLine | None) -> None:
        self.process = process
        self.on_beat: Callable[[], None] = lambda: None
        """Called each second, as long as the engine's loop and its media threads turn."""
        self.last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        """The end of its log, where ``hear`` was given."""
        self._lifeline = lifeline
        self._listening = asyncio.create_task(self._listen(hear), name="engine log") if hear else None
        self._pulse: asyncio.ReadTransport | None = None

    async def ready(self, descriptor: int) -> bool:
        """Wait for the first line of the pipe, which it then owns and where each further byte is a beat.

        False: the engine ended instead.

        Raises:
            MachineError: it did not come up in 10 s.
        """
        pulse = _Pulse(self)
        pipe = os.fdopen(descriptor, "rb", 0)
        self._pulse, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: pulse, pipe)
        try:
            async with asyncio.timeout(_READY_S):
                return await pulse.is_ready
        except TimeoutError as error:
            raise MachineError(f"the engine was not ready within {_READY_S:g} s") from error

    def let_go(self) -> None:
        """Close the lifeline: the engine ends its calls and exits. Idempotent."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    async def end(self, timeout_s: float = 3.0) -> int:
        """Let go, and kill what is still there after ``timeout_s``; returns the exit status."""
        self.let_go()
        try:
            async with asyncio.timeout(timeout_s):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
        status = await self.process.wait()
        if self._pulse is not None:
            self._pulse.close()
        if self._listening is not None:
            await self._listening
        return status

    async def _listen(self, hear: EngineLine) -> None:
        """Until the engine closes its standard error; of a line that is too long, the beginning."""
        assert self.process.stderr is not None
        async for line in lines_of(self.process.stderr):
            self.last_words.append(line.decode("utf-8", "replace").strip())
            hear(line)


class _Pulse(asyncio.Protocol):
    """The engine's ready line, then a byte for each beat."""

    def __init__(self, engine: LaunchedEngine) -> None:
        self.is_ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._engine = engine

    def data_received(self, data: bytes) -> None:
        if self.is_ready.done():
            self._engine.on_beat()
        elif b"\n" in data:
            self.is_ready.set_result(True)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's
        if not self.is_ready.done():
            self.is_ready.set_result(False)


async def lines_of(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Lines without their ends, each cut at 16 KiB: what is longer costs itself only."""
    line = b""
    while chunk := await stream.read(_LINE_BYTES):
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            yield line + part[: _LINE_BYTES - len(line)]
            line = b""
        line += rest[: _LINE_BYTES - len(line)]
    if line:
        yield line


def find_engine(binary: str = "") -> Path:
    """The program: as configured, beside Python, on PATH, or built in a checkout.

    Raises:
        ConfigurationError: it is nowhere; says how to get it.
    """
    given = binary or os.environ.get("OFFHOOK_ENGINE_BINARY", "")
    if given:
        if os.access(given, os.X_OK) and Path(given).is_file():
            return Path(given)
        raise ConfigurationError("engine.binary", f"{given} is no program that can be run")
    checkout = Path(__file__).resolve().parents[4] / "target" / "release" / "offhook-engine"
    found = shutil.which("offhook-engine", path=str(Path(sys.executable).parent)) or shutil.which("offhook-engine")
    if found is not None:
        return Path(found)
    if os.access(checkout, os.X_OK):
        return checkout
    raise ConfigurationError(
        "engine.binary", "offhook-engine is not installed: make install builds it, or name the program here"
    )


async def launch_engine(
    program: Path, options: EngineOptions, secret: bytes, *, hear: EngineLine | None = None
) -> LaunchedEngine:
    """Start it and wait until all its sockets listen. Its log goes to ``hear``, else to our standard error.

    Raises:
        MachineError: it ended instead, or did not come up in 10 s.
    """
    (secret_read, secret_write), (lifeline_read, lifeline_write), (ready_read, ready_write) = _three_pipes(program)
    inherited = (secret_read, lifeline_read, ready_write)
    try:
        os.write(secret_write, secret)
        os.close(secret_write)
        process = await asyncio.create_subprocess_exec(
            program,
            *options.arguments(),
            *("--secret-fd", str(secret_read), "--lifeline-fd", str(lifeline_read), "--ready-fd", str(ready_write)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE if hear is not None else None,
            pass_fds=inherited,
            start_new_session=True,  # Ctrl-C is for the supervisor, which ends things in order
            env={name: os.environ[name] for name in ("RUST_LOG", "RUST_BACKTRACE") if name in os.environ},
        )
    except OSError as error:
        os.close(lifeline_write)
        os.close(ready_read)
        raise MachineError(f"{program} cannot be started: {error.strerror}") from error
    finally:
        for descriptor in inherited:
            os.close(descriptor)
    launched = LaunchedEngine(process, lifeline_write, hear)
    try:
        is_ready = await launched.ready(ready_read)
    except BaseException:
        await launched.end()
        raise
    if not is_ready:
        status = await launched.end()
        why = " / ".join(launched.last_words) or "its log says why"
        raise MachineError(f"the engine ended before it was ready, with status {status}: {why}")
    return launched


def _three_pipes(program: Path) -> list[tuple[int, int]]:
    pipes: list[tuple[int, int]] = []
    try:
        for _ in range(3):
            pipes.append(os.pipe())
    except OSError as error:
        for descriptor in itertools.chain.from_iterable(pipes):
            os.close(descriptor)
        raise MachineError(f"{program} cannot be started: {error.strerror}") from error
    return pipes
