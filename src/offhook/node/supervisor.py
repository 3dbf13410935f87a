"""Engine and node as siblings: each is started again alone, within a budget; both end with us."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

from offhook.errors import ConfigurationError, MachineError, OffhookError
from offhook.node.config import Settings
from offhook.node.engine.launch import EngineOptions, LaunchedEngine, find_engine, launch_engine
from offhook.node.lifeline import bound_to_parent
from offhook.node.ports import loopbacks, settle_port
from offhook.node.state import Identity, StateDirectory
from offhook.node.steering import Boot, NodeMessage, Ready, Steering, SupervisorMessage

__all__ = ["NodeSupervisor", "RestartBudget", "with_ports"]

_log = structlog.get_logger(__name__)
_RESTARTS = 5
_WINDOW_S = 60.0
_PAUSE_S = 0.1
_READY_S = 30.0
_PORT_ATTEMPTS = 50
_SPARE_AFTER_S = 0.5


class RestartBudget:
    """At most ``restarts`` in any ``window_s``. Time is given."""

    def __init__(self, restarts: int = _RESTARTS, window_s: float = _WINDOW_S) -> None:
        self._restarts = restarts
        self._window_s = window_s
        self._at: deque[float] = deque()

    def allows(self, now: float) -> bool:
        """Whether one more restart at ``now`` is within the budget; if so it is counted."""
        while self._at and now - self._at[0] >= self._window_s:
            self._at.popleft()
        if len(self._at) >= self._restarts:
            return False
        self._at.append(now)
        return True


def with_ports(settings: Settings) -> Settings:
    """The settings with every 0 replaced by a free port, all ports seen to be free.

    Raises:
        ConfigurationError: a port is taken; names it.
    """
    sip, relay = settings.sip, settings.relay
    sip_port = settle_port("sip.port", (sip.listen,), sip.port, socket.SOCK_STREAM, socket.SOCK_DGRAM)
    relay_port = sip_port
    for _ in range(_PORT_ATTEMPTS):
        relay_port = settle_port("relay.port", loopbacks(relay.listen), relay.port, socket.SOCK_STREAM)
        if relay_port != sip_port or relay.port:
            break
    if relay_port == sip_port:
        raise ConfigurationError("relay.port", f"{relay_port} is the port of SIP over TCP as well: choose another")
    return msgspec.structs.replace(
        settings,
        sip=msgspec.structs.replace(sip, port=sip_port),
        relay=msgspec.structs.replace(relay, port=relay_port),
    )


class NodeSupervisor:
    """Runs engine and node until ``stop`` is set. ``settings`` has no port 0.

    ``keeps_spare``: a second node process waits, its code read, to take the place of one that dies.
    """

    def __init__(
        self,
        settings: Settings,
        state: StateDirectory,
        identity: Identity,
        *,
        drain_s: float,
        keeps_spare: bool = False,
        hear: Callable[[NodeMessage], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._state = state
        self._identity = identity
        self._drain_s = drain_s
        self._hear = hear
        self._secret = secrets.token_bytes(32)
        self._engine: LaunchedEngine | None = None
        self._node: Process | None = None
        self._steering: Steering | None = None
        self._listening: asyncio.Task[None] | None = None
        self._keeps_spare = keeps_spare
        self._spare: _WaitingNode | None = None
        self._is_stopping = False

    def say(self, message: SupervisorMessage) -> None:
        """Tell the node, if one runs."""
        if self._steering is not None:
            self._steering.send(message)

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; then the node ends its calls, and the engine follows.

        Raises:
            OffhookError: a part does not start, or ended too often; all is ended then.
        """
        program = find_engine(self._settings.engine.binary)
        keepers: list[asyncio.Task[None]] = []
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            # It reads its code while the engine starts.
            self._spare = await _start_waiting_node(self._state.byte_code)
            await self._start_engine(program)
            await self._start_node()
            keepers = [
                asyncio.create_task(
                    self._keep("engine", self._engine_process, lambda: self._start_engine(program)), name="keep engine"
                ),
                asyncio.create_task(self._keep("node", self._node_process, self._start_node), name="keep node"),
            ]
            if self._keeps_spare:
                keepers.append(asyncio.create_task(self._keep_spare(), name="keep spare"))
            done, _ = await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task is not stopping:
                    task.result()
        finally:
            self._is_stopping = True
            stopping.cancel()
            try:
                await self._end()
            finally:
                for task in keepers:
                    task.cancel()
                await asyncio.gather(stopping, *keepers, return_exceptions=True)

    def hurry(self) -> None:
        """Do not wait for calls any longer."""
        if self._node is not None and self._node.returncode is None:
            self._node.send_signal(signal.SIGTERM)

    async def _keep(self, name: str, process: Callable[[], Process], start: Callable[[], Awaitable[None]]) -> None:
        """Wait for the end of a part and start it again."""
        budget = RestartBudget()
        loop = asyncio.get_running_loop()
        while True:
            status = await process().wait()
            if self._is_stopping:
                return
            _log.error("a part ended and is started again", part=name, status=status)
            while True:
                if not budget.allows(loop.time()):
                    raise MachineError(
                        f"the {name} ended {_RESTARTS + 1} times within {_WINDOW_S:g} s: its log above says why"
                    )
                try:
                    await start()
                    break
                except OffhookError as error:
                    _log.error("a part does not start", part=name, reason=str(error))
                    await asyncio.sleep(_PAUSE_S)

    def _engine_process(self) -> Process:
        assert self._engine is not None
        return self._engine.process

    def _node_process(self) -> Process:
        assert self._node is not None
        return self._node

    async def _start_engine(self, program: Path) -> None:
        settings, state = self._settings, self._state
        state.socket.unlink(missing_ok=True)
        old, self._engine = self._engine, None
        if old is not None:
            old.let_go()
        self._engine = await launch_engine(
            program, engine_options(settings, state), self._secret, hear=self._engine_said
        )

    async def _start_node(self) -> None:
        """Give the boot to the spare, or to a process started now, and wait for its ``Ready``."""
        waiting, self._spare = self._spare, None
        if waiting is None or _has_ended(waiting.process):
            waiting = await _start_waiting_node(self._state.byte_code)
        self._node = waiting.process
        steering = waiting.steering
        if self._listening is not None:
            self._listening.cancel()
        self._steering = steering
        steering.send(Boot(self._settings, self._identity, self._secret, self._state.next_epoch()))
        ready = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen(steering, ready), name="listen to the node")
        try:
            async with asyncio.timeout(_READY_S):
                await ready
        except TimeoutError as error:
            self._node.kill()
            raise MachineError(f"the node was not ready within {_READY_S:g} s") from error

    def _engine_said(self, line: bytes) -> None:
        """A line of the engine's log, in ours; its goodbye is nobody's news."""
        try:
            fields = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError:
            _log.error("the engine says", text=line.decode("utf-8", "replace").rstrip())
            return
        fields.pop("at_ms", None)
        level = str(fields.pop("level", "info"))
        event = str(fields.pop("event", ""))
        known = {"debug": _log.debug, "info": _log.info, "warning": _log.warning, "error": _log.error}
        say = _log.debug if self._is_stopping and level != "error" else known.get(level, _log.info)
        say(f"engine: {event}", **fields)

    async def _keep_spare(self) -> None:
        """A process that has read its code and waits for a boot: a node that dies is back in a fraction of a second."""
        while True:
            await asyncio.sleep(_SPARE_AFTER_S)
            if self._spare is None or self._spare.process.returncode is not None:
                self._spare = await _start_waiting_node(self._state.byte_code)

    async def _listen(self, steering: Steering, ready: asyncio.Future[None]) -> None:
        try:
            async for message in steering.from_node():
                if isinstance(message, Ready):
                    self._state.write_ready(message.node)
                    if not ready.done():
                        ready.set_result(None)
                self._hear(message)
        finally:
            steering.close()
            if not ready.done():
                ready.set_exception(MachineError("the node ended before it was ready: its log above says why"))

    async def _end(self) -> None:
        """First the node, which ends its calls; then the engine."""
        node = self._node
        try:
            if node is not None and node.returncode is None:
                node.send_signal(signal.SIGTERM)
                try:
                    async with asyncio.timeout(self._drain_s):
                        await node.wait()
                except TimeoutError:
                    _log.error("the node does not end and is killed", after_s=self._drain_s)
                    node.kill()
                    await node.wait()
        finally:
            if node is not None and node.returncode is None:
                node.kill()
            if self._spare is not None and self._spare.process.returncode is None:
                self._spare.process.kill()
                await self._spare.process.wait()
            if self._engine is not None:
                await self._engine.end(2.0)
            if self._listening is not None:
                self._listening.cancel()
                await asyncio.gather(self._listening, return_exceptions=True)
            self._state.ready.unlink(missing_ok=True)
            self._state.socket.unlink(missing_ok=True)


class _WaitingNode(NamedTuple):
    process: Process
    steering: Steering


async def _start_waiting_node(byte_code: Path) -> _WaitingNode:
    """A node without its boot."""
    ours, theirs = socket.socketpair()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "offhook.node.app",
            "--steering-fd",
            str(theirs.fileno()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            preexec_fn=bound_to_parent(),
            umask=0o077,
            env=_environment(byte_code),
        )
    except OSError as error:
        ours.close()
        raise MachineError(f"the node cannot be started: {error.strerror}") from error
    finally:
        theirs.close()
    return _WaitingNode(process, await Steering.over(ours))


def engine_options(settings: Settings, state: StateDirectory) -> EngineOptions:
    """What the engine is told."""
    sip, rtp, engine = settings.sip, settings.rtp, settings.engine
    host = f"[{sip.listen}]" if ":" in sip.listen else sip.listen
    return EngineOptions(
        socket=state.socket,
        prompts=state.prompts,
        recordings=state.recordings,
        sip_udp=f"{host}:{sip.port}",
        sip_tcp=f"{host}:{sip.port}",
        rtp_ip=rtp.listen or sip.listen,
        rtp_ports=(rtp.port_min, rtp.port_max),
        trust=sip.trust,
        orphan_s=engine.orphan_s,
        media_timeout_s=rtp.timeout_s,
        tcp_idle_s=sip.tcp_idle_s,
        max_calls=engine.max_calls,
        log_level="debug" if settings.log.level == "debug" else "info",
    )


def _has_ended(process: Process) -> bool:
    """Also when nobody was told yet: who kills the node may have killed the spare in the same moment."""
    if process.returncode is not None:
        return True
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _environment(byte_code: Path) -> dict[str, str]:
    """Ours without credentials, and with our own path, so that the same code runs.

    Where byte code may not be kept beside the sources it is kept in ``byte_code``: a killed node is back sooner.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OFFHOOK_", "SIGNALWIRE_")) and not name.lower().endswith("_proxy")
    }
    if kept.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept["PYTHONPYCACHEPREFIX"] = str(byte_code)
    return {**kept, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
