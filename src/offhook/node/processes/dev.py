"""``offhook dev``: the node, and a program if one is named, in one terminal."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from offhook.node.config.settings import Settings
from offhook.node.processes.program_runner import ProgramRunner
from offhook.node.processes.supervision import Idle, NodeMessage, Ready, Retire, Serve, Subscribed
from offhook.node.processes.supervisor import NodeSupervisor, with_ports
from offhook.node.state.directory import Identity, ReadyNode, StateDirectory

__all__ = ["Program", "client_environment", "dev_settings", "export_lines", "run_dev", "stop_on_signals"]

_log = structlog.get_logger(__name__)
_NODE_END_S = 5.0
_GOODBYE_S = 0.5


class Program(msgspec.Struct, frozen=True):
    """What ``dev`` runs: a Python file, and the interpreter for it."""

    file: Path
    python: str


def dev_settings(settings: Settings) -> Settings:
    """The same, with any number going to the dev context and loopback open to fetching."""
    return msgspec.structs.replace(
        settings,
        dev=msgspec.structs.replace(settings.dev, enabled=True),
        fetch=msgspec.structs.replace(settings.fetch, allow_loopback=True),
    )


def client_environment(ready: ReadyNode, token: str = "") -> dict[str, str]:
    """What points our SDK and the published ones at a node."""
    relay = ready.relay
    token = token or relay.token
    return {
        "OFFHOOK_PROJECT_ID": relay.project,
        "OFFHOOK_API_TOKEN": token,
        "OFFHOOK_SPACE": relay.host,
        "OFFHOOK_RELAY_CA_FILE": ready.ca_file,
        "SIGNALWIRE_PROJECT_ID": relay.project,
        "SIGNALWIRE_API_TOKEN": token,
        "SIGNALWIRE_SPACE": relay.host,
        "SIGNALWIRE_RELAY_CA_FILE": ready.ca_file,
        "NODE_EXTRA_CA_CERTS": ready.ca_file,
    }


def export_lines(ready: ReadyNode) -> str:
    """For a shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in client_environment(ready).items())


async def run_dev(
    settings: Settings, state: StateDirectory, identity: Identity, program: Program | None, *, as_json: bool
) -> None:
    """Until SIGTERM or SIGINT.

    Raises:
        OffhookError: something does not start; says what to change.
    """
    settings = with_ports(settings)
    asked, stop = asyncio.Event(), asyncio.Event()
    session = _Session(identity, program, as_json=as_json)
    supervisor = NodeSupervisor(settings, state, identity, drain_s=_NODE_END_S, hear=session.hear)
    session.supervisor = supervisor
    stop_on_signals(asked, supervisor.hurry)

    async def end_in_order() -> None:
        await asked.wait()
        await session.leave()
        stop.set()

    ending = asyncio.create_task(end_in_order(), name="end in order")
    try:
        await supervisor.run(stop)
    finally:
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)
        await session.close()


class _Session:
    """What happens around the node: the printed lines, and the program."""

    supervisor: NodeSupervisor

    def __init__(self, identity: Identity, program: Program | None, *, as_json: bool) -> None:
        self._identity = identity
        self._program = program
        self._as_json = as_json
        self._runner: ProgramRunner | None = None
        self._running: asyncio.Task[None] | None = None
        self._announced = False

    def hear(self, message: NodeMessage) -> None:
        """The node spoke."""
        match message:
            case Ready():
                self._ready(message.node)
            case Subscribed():
                if self._runner is not None:
                    self._runner.subscribed(message.slot)
                    self._announce_program()
            case Idle():
                if self._runner is not None:
                    self._runner.idle(message.slot)

    async def leave(self) -> None:
        """Let the program say goodbye to the node; its calls end with the node."""
        if self._runner is not None:
            await self._runner.leave(_GOODBYE_S)

    async def close(self) -> None:
        """End the program."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def _ready(self, ready: ReadyNode) -> None:
        if self._announced:
            _log.info("the node is back")
            return
        self._announced = True
        self._ready_node = ready
        if self._program is None:
            self._print(ready)
            return
        if not self._as_json:
            self._print(ready)
        self._runner = ProgramRunner(
            self._program.file,
            lambda slot: client_environment(ready, self._identity.app_tokens[slot]),
            serve=lambda slot: self.supervisor.say(Serve(slot)),
            retire=lambda slot: self.supervisor.say(Retire(slot)),
            python=self._program.python,
            stdout=sys.stderr.fileno() if self._as_json else None,
        )
        self._running = asyncio.create_task(self._runner.run(), name="program")

    def _announce_program(self) -> None:
        """With a program, ``--json`` says ready when it takes calls."""
        if self._as_json and self._program is not None:
            self._print(self._ready_node)
            self._as_json = False

    def _print(self, ready: ReadyNode) -> None:
        text = msgspec.json.encode(ready).decode() + "\n" if self._as_json else _welcome(ready, self._program)
        sys.stdout.write(text)
        sys.stdout.flush()


def _welcome(ready: ReadyNode, program: Program | None) -> str:
    host, _, port = ready.sip.udp.rpartition(":")
    uri = f"sip:demo@{host}" if port == "5060" else f"sip:demo@{host}:{port}"
    does = f"{program.file.name} answers them." if program else "Your program answers them, once it runs."
    return (
        f"offhook is ready. Calls to any number go to context 'default'. {does}\n\n"
        f"  call it       offhook call {uri}\n"
        f"  or            any softphone on this machine: dial {uri}\n"
        f"                (no account, no registration; UDP {ready.sip.udp}, TCP {ready.sip.tcp}; G.711 or G.722)\n"
        f"  recordings    {ready.http}/recordings/…  (links are in the events)\n\n"
        "A program in another terminal connects with these lines (offhook dev --env prints them alone):\n\n"
        f"{export_lines(ready)}\n"
        "Ctrl-C ends it.\n"
    )


def stop_on_signals(stop: asyncio.Event, hurry: Callable[[], None]) -> None:
    """The first SIGTERM, SIGINT or SIGHUP sets ``stop``; another one calls ``hurry``."""

    def on_signal() -> None:
        if stop.is_set():
            hurry()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
