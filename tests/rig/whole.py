"""A gateway, calls and verbs on a fake engine: all of a node but its processes. It can be killed and started again."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import msgspec

from bench import NODE, SETTINGS, resolve
from offhook.node.calls.exchange import Exchange
from offhook.node.calls.settings import CallSettings
from offhook.node.engine import ops, reports
from offhook.node.engine.port import LostSink, ReportSink
from offhook.node.gateway.server import Gateway
from offhook.node.gateway.sessions import Session, Sessions
from offhook.node.gateway.settings import Credential, GatewaySettings
from offhook.node.store.journal import SqliteJournal
from offhook.node.verbs.registry import VerbRegistry
from offhook.protocol.frames import Request
from offhook.testing.engine import FakeEngine
from offhook.testing.ports import FakeAudioFetcher, FakeLinks, FakeSpeech
from rig.crash import crash

__all__ = ["PROJECT", "Client", "WholeNode", "Wire"]

PROJECT, TOKEN = "project-1", "PTsecret"


class Wire:
    """A node's connection to the engine. When the node is killed nothing of it reaches the engine any more."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.prompts, self.recordings = engine.prompts, engine.recordings
        self.is_cut = False

    def next_id(self) -> int:
        return self.engine.next_id()

    async def start(self, sink: ReportSink, *, last_seq: int = 0, on_lost: LostSink | None = None) -> reports.Welcome:
        return await self.engine.start(sink, last_seq=last_seq, on_lost=on_lost)

    async def execute(self, operation: ops.AnyOperation) -> None:
        if self.is_cut:
            await asyncio.Event().wait()
        await self.engine.execute(operation)

    def send(self, operation: ops.AnyOperation, *, patient: bool = False) -> None:
        if not self.is_cut:
            self.engine.send(operation, patient=patient)

    async def close(self) -> None:
        pass


class Client:
    """One client's session, over as many quiet sockets as it takes. It acks what it gets, unless told otherwise."""

    def __init__(self, node: WholeNode, *contexts: str) -> None:
        self._node = node
        self.contexts = contexts
        self.frames: list[dict[str, Any]] = []
        self.replies: dict[object, dict[str, Any]] = {}
        self.protocol = node.sessions.create(PROJECT, "token").protocol
        self.attach()

    @property
    def session(self) -> Session:
        session = self._node.sessions.get(self.protocol)
        assert session is not None, "the node has forgotten the session"
        return session

    def attach(self) -> None:
        """On a new socket."""
        socket = _Socket(self)
        self._node.sessions.connect(self.session, socket)  # type: ignore[arg-type]
        self.session.delivery.attach(socket)  # type: ignore[arg-type]
        self._node.sessions.subscribe(self.session, self.contexts)

    def lose(self) -> None:
        """Its socket is gone."""
        assert self.session.connection is not None
        self._node.sessions.disconnected(self.session, self.session.connection)

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """A command and its result."""
        commands, connection = self._node.gateway._commands, self.session.connection
        assert commands is not None
        assert connection is not None
        frame_id = str(uuid.uuid4())
        asked_at = asyncio.get_running_loop().time()
        commands.take(self.session, connection, Request(frame_id, method, params), frame_id, asked_at)
        while frame_id not in self.replies:
            await asyncio.sleep(0.01)
        return self.replies[frame_id]

    async def command(self, method: str, call_id: str, **params: Any) -> str:
        """The code of its result."""
        return str((await self.ask(method, node_id=NODE, call_id=call_id, **params))["code"])

    def heard(self, call_id: str) -> list[str]:
        """What it got of a call, shortly: types of events, and states."""
        found = []
        for event_type, params in self._events():
            if params.get("call_id") == call_id:
                kind = event_type.rpartition(".")[2]
                found.append(str(params["call_state"]) if kind == "state" else kind)
        return found

    def dial(self, tag: str) -> list[dict[str, Any]]:
        """What it was told of a dial."""
        return [params for kind, params in self._events() if kind == "calling.call.dial" and params["tag"] == tag]

    def ends(self) -> dict[str, str]:
        """Why its calls ended: reason by call."""
        return {
            params["call_id"]: params["end_reason"]
            for kind, params in self._events()
            if kind == "calling.call.state" and params["call_state"] == "ended"
        }

    def _events(self) -> list[tuple[str, dict[str, Any]]]:
        events = [frame["params"] for frame in self.frames if frame.get("method") == "signalwire.event"]
        return [(event["event_type"], event["params"]) for event in events]


class _Socket:
    """A connection without a socket."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.is_open = True
        self.on_overflow = None

    def send(self, text: str, written: Any = None) -> bool:
        frame = json.loads(text)
        self._client.replies[frame["id"]] = frame.get("result", frame)
        if written is not None:
            written()
        return self.is_open

    def send_event(self, text: str, written: Any = None) -> bool:
        frame = json.loads(text)
        self._client.frames.append(frame)
        asyncio.get_running_loop().call_soon(self._client.session.delivery.acknowledge, frame["id"])
        return self.is_open

    def disconnect(self, *, restart: bool) -> asyncio.Task[None]:
        self.is_open = False
        return asyncio.ensure_future(asyncio.sleep(0))

    async def room(self) -> None:
        return


class WholeNode:
    """``start``, ``kill`` and ``start`` again, ``stop``; the engine and the journal stay."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.engine = FakeEngine(directory)
        self.settings: CallSettings = msgspec.structs.replace(SETTINGS, **settings)
        self.gateway_settings: dict[str, Any] = {}
        self._directory = directory
        self._dead: list[object] = []
        self._before = asyncio.all_tasks()

    @property
    def sessions(self) -> Sessions:
        return self.gateway._sessions

    def client(self, *contexts: str) -> Client:
        return Client(self, *contexts)

    async def start(self) -> None:
        self.journal = SqliteJournal(self._directory / "journal.db")
        self.wire = Wire(self.engine)
        settings = GatewaySettings(
            credentials=[Credential(PROJECT, TOKEN)], state_key=b"k" * 32, node_id=NODE, **self.gateway_settings
        )
        self.gateway = Gateway(settings, self.journal)
        self.exchange = Exchange(
            self.wire, self.gateway.outbox, self.gateway.desk, self.settings, resolve=resolve, wall_ms=self._now_ms
        )
        ports = FakeSpeech(self.engine), FakeAudioFetcher(self.engine), FakeLinks()
        self.registry = VerbRegistry(self.exchange, *ports)
        await self.gateway.start()
        await self.exchange.__aenter__()
        await self.exchange.attach()
        self.gateway.recover(self.exchange.adopted, self.exchange.past, self.exchange.dialling)
        self.gateway.use_runner(self.registry)

    async def kill(self) -> None:
        """The process is gone without a word."""
        self.wire.is_cut = True
        await self.engine.close()
        await self.journal.flushed()
        await crash(self.journal)
        await self.gateway._tasks.close()
        self._dead.append(self.exchange)

    async def stop(self) -> None:
        await self.exchange.__aexit__(None, None, None)
        await self.gateway.close()
        left = asyncio.all_tasks() - self._before - {asyncio.current_task()}
        for task in left:  # of nodes that were killed
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def ring(self, **invite: Any) -> str:
        """A call comes in; its id."""
        call = self.exchange.calls.by_leg(self.engine.ring_in(**invite))
        assert call is not None
        return call.call_id

    def leg_of(self, call_id: str) -> str:
        return self.exchange.calls.find(call_id).leg.id

    def live(self) -> list[str]:
        """Ids of live calls."""
        return [call.call_id for call in self.exchange.calls]

    def _now_ms(self) -> int:
        return self.engine.now_us() // 1000
