"""Starting the engine's program: where it is, what it is told, and the pipes it inherits."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from offhook.errors import ConfigurationError, MachineError

__all__ = ["EngineLine", "EngineOptions", "LaunchedEngine", "find_engine", "launch_engine"]

EngineLine = Callable[[bytes], None]
"""Takes one line of the engine's log: a JSON object with ``level`` and ``event``, or the words of a panic."""

_READY_S = 10.0
_LAST_WORDS = 5


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
        self.last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        """The end of its log, where ``hear`` was given."""
        self._lifeline = lifeline
        self._listening = asyncio.create_task(self._listen(hear), name="engine log") if hear else None

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
        if self._listening is not None:
            await self._listening
        return status

    async def _listen(self, hear: EngineLine) -> None:
        """Until the engine closes its standard error, or a line has no end."""
        assert self.process.stderr is not None
        try:
            while line := await self.process.stderr.readline():
                self.last_words.append(line.decode("utf-8", "replace").strip())
                hear(line)
        except ValueError:  # longer than the reader's limit
            while await self.process.stderr.read(1 << 16):
                pass


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
    secret_read, secret_write = os.pipe()
    lifeline_read, lifeline_write = os.pipe()
    ready_read, ready_write = os.pipe()
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
        line = await _line(ready_read)
    except BaseException:
        await launched.end()
        raise
    if not line:
        status = await launched.end()
        why = " / ".join(launched.last_words) or "its log says why"
        raise MachineError(f"the engine ended before it was ready, with status {status}: {why}")
    return launched


async def _line(descriptor: int) -> bytes:
    """What comes before the pipe ends or a line is complete; the descriptor is closed."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(descriptor, "rb", 0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        async with asyncio.timeout(_READY_S):
            return await reader.readline()
    except TimeoutError as error:
        raise MachineError(f"the engine was not ready within {_READY_S:g} s") from error
    finally:
        transport.close()
