"""Engine and node as siblings: each is watched, and started again alone, within a budget; both end with us."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from offhook.errors import ConfigurationError, MachineError, OffhookError
from offhook.node.config.settings import Settings
from offhook.node.engine.launch import EngineOptions, LaunchedEngine, find_engine, launch_engine
from offhook.node.processes.port_numbers import hold_ports, loopbacks, settle_port
from offhook.node.processes.restarts import RestartBudget, Retries
from offhook.node.processes.supervision import Alive, Boot, NodeMessage, Ready, Supervision, SupervisorMessage
from offhook.node.processes.waiting_node import WaitingNode, has_ended, start_waiting_node
from offhook.node.processes.watchdog import Silence, cpu_wait_s, watch
from offhook.node.state.directory import Identity, StateDirectory

__all__ = ["NodeSupervisor", "with_ports"]

_log = structlog.get_logger(__name__)
_READY_S = 30.0
_PORT_ATTEMPTS = 50
_SPARE_AFTER_S = 0.5
_SPARE_RETRY_S = 5.0
_TRACEBACK_S = 2.0


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
        self._supervision: Supervision | None = None
        self._listening: asyncio.Task[None] | None = None
        self._keeps_spare = keeps_spare
        self._spare: WaitingNode | None = None
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._is_stopping = False
        self._can_tell: dict[str, Process] = {}
        """Engine and node, once they listen to SIGUSR1: one that starts would die of it."""

    def say(self, message: SupervisorMessage) -> None:
        """Tell the node, if one runs."""
        if self._supervision is not None:
            self._supervision.send(message)

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; then the node ends its calls, and the engine follows.

        Raises:
            OffhookError: a part does not start, or ended too often; all is ended then.
        """
        sip, relay = self._settings.sip, self._settings.relay
        where = [(sip.listen, sip.port), *((host, relay.port) for host in loopbacks(relay.listen))]
        with hold_ports(where):
            await self._run(stop)

    async def _run(self, stop: asyncio.Event) -> None:
        program = find_engine(self._settings.engine.binary)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.ask_held)
        keepers: list[asyncio.Task[None]] = []
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            # It reads its code while the engine starts.
            self._spare = await start_waiting_node(self._state.byte_code)
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

    def ask_held(self) -> None:
        """Let engine and node write what they hold into the log."""
        for process in self._can_tell.values():
            if not has_ended(process):
                process.send_signal(signal.SIGUSR1)

    async def _keep(self, name: str, process: Callable[[], Process], start: Callable[[], Awaitable[None]]) -> None:
        """Wait for the end of a part and start it again."""
        budget = RestartBudget(name)
        loop = asyncio.get_running_loop()
        while True:
            status = await process().wait()
            if self._is_stopping:
                return
            _log.error("a part ended and is started again", part=name, status=status)
            budget.spend(loop.time())
            retries = Retries(name, loop.time())
            while True:
                try:
                    await start()
                    break
                except OffhookError as error:
                    pause_s = retries.pause_s(loop.time())
                    _log.error("a part does not start", part=name, reason=str(error), again_in_s=pause_s)
                    await asyncio.sleep(pause_s)

    def _watch(self, name: str, process: Process, limit_s: float, end: Callable[[Process], Awaitable[None]]) -> Silence:
        """Look after a part from now on, in place of the one before it."""
        if (before := self._watches.get(name)) is not None:
            before.cancel()
        silence = Silence(limit_s, asyncio.get_running_loop().time(), cpu_wait_s(process.pid))
        looking = watch(name, process.pid, silence, lambda: end(process))
        self._watches[name] = asyncio.create_task(looking, name=f"watch {name}")
        return silence

    def _engine_process(self) -> Process:
        assert self._engine is not None
        return self._engine.process

    def _node_process(self) -> Process:
        assert self._node is not None
        return self._node

    async def _start_engine(self, program: Path) -> None:
        settings, state = self._settings, self._state
        state.remove_socket()
        old, self._engine = self._engine, None
        if old is not None:
            old.let_go()
        self._engine = engine = await launch_engine(
            program, engine_options(settings, state), self._secret, hear=self._engine_said
        )

        silence = self._watch("engine", engine.process, settings.watch.engine_s, _kill)
        silence.heard()  # that it is ready

        def beat() -> None:
            self._can_tell["engine"] = engine.process
            silence.heard()

        engine.on_beat = beat

    async def _start_node(self) -> None:
        """Give the boot to the spare, or to a process started now, and wait for its ``Ready``."""
        waiting, self._spare = self._spare, None
        if waiting is None or has_ended(waiting.process):
            waiting = await start_waiting_node(self._state.byte_code)
        self._node = waiting.process
        supervision = waiting.supervision
        if self._listening is not None:
            self._listening.cancel()
        self._supervision = supervision
        supervision.send(Boot(self._settings, self._identity, self._secret, self._state.next_epoch()))
        silence = self._watch("node", waiting.process, self._settings.watch.node_s, _abort)
        ready = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen(supervision, ready, silence), name="listen to the node")
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
        pause_s = _SPARE_AFTER_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = _SPARE_AFTER_S
            if self._spare is None or has_ended(self._spare.process):
                try:
                    self._spare = await start_waiting_node(self._state.byte_code)
                except OffhookError as error:
                    pause_s = _SPARE_RETRY_S
                    _log.error("a spare node does not start", reason=str(error), again_in_s=pause_s)

    async def _listen(self, supervision: Supervision, ready: asyncio.Future[None], silence: Silence) -> None:
        try:
            async for message in supervision.from_node():
                silence.heard()
                match message:
                    case Alive():
                        continue
                    case Ready():
                        self._can_tell["node"] = self._node_process()
                        self._write_ready(message)
                        if not ready.done():
                            ready.set_result(None)
                self._hear(message)
        finally:
            supervision.close()
            if not ready.done():
                ready.set_exception(MachineError("the node ended before it was ready: its log above says why"))

    def _write_ready(self, message: Ready) -> None:
        """A node that serves is not given up because nobody can be told where."""
        try:
            self._state.write_ready(message.node)
        except OffhookError as error:
            _log.error("offhook call and dev --env do not find this node", reason=str(error))

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
            for watching in self._watches.values():
                watching.cancel()
            await asyncio.gather(*self._watches.values(), return_exceptions=True)
            self._state.ready.unlink(missing_ok=True)
            self._state.remove_socket()


async def _abort(process: Process) -> None:
    """End a node that hangs; before it dies it writes where all of its threads are (``faulthandler``)."""
    if has_ended(process):
        return
    process.send_signal(signal.SIGABRT)
    process.send_signal(signal.SIGCONT)  # one that was stopped meets the other signal first
    try:
        async with asyncio.timeout(_TRACEBACK_S):
            await process.wait()
    except TimeoutError:
        process.kill()


async def _kill(process: Process) -> None:
    """End an engine that hangs: the next one says goodbye to its calls."""
    if not has_ended(process):
        process.kill()


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
