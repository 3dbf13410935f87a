"""What the gateway's tests share: a gateway on a real socket, a raw client, a scripted runner, a call on offer."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import sqlite3
import uuid
from collections import deque
from pathlib import Path

import aiohttp
from aiohttp import web

from offhook.errors import CommandRefused
from offhook.node.calls.ports import OutgoingEvent
from offhook.node.gateway.server import Gateway
from offhook.node.gateway.settings import Credential, GatewaySettings
from offhook.node.store.journal import SqliteJournal
from offhook.node.store.writer import WriterSettings
from offhook.node.web.door import Door, DoorSettings
from rig.crash import crash

PROJECT, TOKEN = "project-1", "PTsecret"
OTHER_PROJECT, OTHER_TOKEN = "project-2", "PTother"
PATIENCE_S = 10.0


def settings(**changes) -> GatewaySettings:
    known = {
        "credentials": [Credential(PROJECT, TOKEN), Credential(OTHER_PROJECT, OTHER_TOKEN)],
        "state_key": b"k" * 32,
        "node_id": "node-1",
        "space_id": "space-1",
    }
    return GatewaySettings(**{**known, **changes})


class Runner:
    """A ``CommandRunner`` that notes what it was asked and answers as it was told."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, dict, object]] = []
        self.script = {}
        self.abandoned: list[tuple[str, str]] = []

    async def run(self, method, params, origin):
        self.ran.append((method, dict(params), origin))
        act = self.script.get(method)
        if act is not None:
            return await act(params, origin)
        if method == "calling.refused":
            raise CommandRefused("400", "never")
        return {"code": "200", "message": "OK", "call_id": params.get("call_id", "")}

    def abandon(self, session, why) -> None:
        self.abandoned.append((session, why))

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.ran]


class OfferedCall:
    """An inbound call as the desk sees it."""

    def __init__(self, call_id: str = "", context: str = "office") -> None:
        self.call_id = call_id or str(uuid.uuid4())
        self.context = context
        self.alerts = 0
        self.rejected: tuple[int, str] | None = None
        self.decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.alerted = asyncio.Event()

    def _params(self) -> dict:
        device = {"type": "phone", "params": {"from_number": "+15550001", "to_number": "+15550002"}}
        return {
            "node_id": "node-1",
            "call_id": self.call_id,
            "segment_id": "segment",
            "tag": "",
            "direction": "inbound",
            "device": device,
        }

    def receive_params(self) -> dict:
        return {**self._params(), "project_id": PROJECT, "context": self.context, "call_state": "created"}

    def withdrawn_params(self) -> dict:
        return {**self._params(), "call_state": "ended", "end_reason": "cancel", "end_source": "none"}

    @property
    def is_open(self) -> bool:
        return not self.decided.done()

    def decide(self) -> None:
        """It was answered, or it ended."""
        if not self.decided.done():
            self.decided.set_result(None)

    async def answering_over(self) -> None:
        return

    async def alert(self) -> None:
        self.alerts += 1
        self.alerted.set()

    async def reject(self, status: int, reason: str) -> None:
        if self.is_open:
            self.rejected = (status, reason)
            self.decide()


def state(call_id: str, call_state: str, **more) -> OutgoingEvent:
    params = {
        "node_id": "node-1",
        "call_id": call_id,
        "segment_id": "segment",
        "tag": "",
        "call_state": call_state,
        "direction": "inbound",
        "device": {"type": "phone", "params": {}},
        **more,
    }
    return OutgoingEvent("calling.call.state", params, call_id=call_id)


def play(call_id: str, number: int) -> OutgoingEvent:
    params = {"node_id": "node-1", "call_id": call_id, "control_id": f"control-{number}", "state": "playing"}
    return OutgoingEvent("calling.call.play", params, call_id=call_id)


class QuietSocket:
    """A connection without a socket: notes what is sent."""

    def __init__(self) -> None:
        self.is_open = True
        self.frames: list[dict] = []
        self.on_overflow = None

    def send_event(self, text, written=None) -> bool:
        self.frames.append(json.loads(text))
        return self.is_open

    def disconnect(self, *, restart) -> None:
        self.is_open = False

    async def room(self) -> None:
        return


class Node:
    """A gateway, its runner and its port."""

    def __init__(self, directory: Path, **changes) -> None:
        self.settings = settings(**changes)
        self.journal = SqliteJournal(directory / "journal.db", WriterSettings(retry_interval_s=0.02))
        self.gateway = Gateway(self.settings, self.journal)
        self.runner = Runner()
        self.port = 0
        self.door_settings: DoorSettings | None = None
        self._is_dead = False

    @property
    def outbox(self):
        return self.gateway.outbox

    @property
    def desk(self):
        return self.gateway.desk

    async def __aenter__(self):
        await self.gateway.start()
        self.gateway.use_runner(self.runner)
        application = web.Application()
        application.add_routes(self.gateway.routes())
        self.door = Door(application, self.door_settings)
        self.port = await self.door.open(["127.0.0.1"], self.port, None)
        return self

    async def __aexit__(self, *_):
        if self._is_dead:
            return
        await self.gateway.close()
        await self.door.close()

    async def crash(self) -> None:
        """The process is gone: nothing more is written, nobody is told."""
        self._is_dead = True
        await crash(self.journal)
        await self.gateway._tasks.close()
        for connection in list(self.gateway._connections):
            connection.abort()
        await self.door.close()

    def fill_disk(self) -> None:
        """Every write fails as on a full disk, until ``free_disk``."""

        def refuse(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        def refuse_too(*_):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

        self.journal._writer._tail.append = refuse
        self.journal._writer._commit = refuse_too

    def free_disk(self) -> None:
        """Writes work again."""
        del self.journal._writer._tail.append
        del self.journal._writer._commit

    @contextlib.asynccontextmanager
    async def client(self, *, connect=True, port=0, **params):
        async with aiohttp.ClientSession() as http:
            socket = await http.ws_connect(f"http://127.0.0.1:{port or self.port}/", autoping=False, max_msg_size=0)
            client = Client(socket)
            client.reading = asyncio.create_task(client.read())
            try:
                if connect:
                    client.hello = await client.connect(**params)
                yield client
            finally:
                client.reading.cancel()
                await asyncio.gather(client.reading, return_exceptions=True)
                await socket.close()


def connect_params(project=PROJECT, token=TOKEN, version=(2, 0, 0), **more) -> dict:
    major, minor, revision = version
    return {
        "version": {"major": major, "minor": minor, "revision": revision},
        "authentication": {"project": project, "token": token},
        "event_acks": True,
        **more,
    }


class Client:
    """Frames by hand. Acks events at once unless told otherwise."""

    def __init__(self, socket) -> None:
        self.socket = socket
        self.acks = True
        self.replies_disconnect = True
        self.frames: list[dict] = []
        self.events: deque[dict] = deque()
        self.all_events: list[dict] = []
        self.requests: deque[dict] = deque()
        self.responses: dict[object, dict] = {}
        self.order: list[str] = []
        self.closed = asyncio.Event()
        self._changed = asyncio.Event()
        self.hello: dict = {}

    async def read(self) -> None:
        async for message in self.socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            frame = json.loads(message.data)
            self.frames.append(frame)
            if "method" not in frame:
                self.responses[frame["id"]] = frame
                self.order.append(f"reply {frame['id']}")
            elif frame["method"] == "signalwire.event":
                if self.acks:
                    await self.ack(frame)
                if frame["params"]["event_type"] == "signalwire.authorization.state":
                    self.requests.append(frame)
                else:
                    self.events.append(frame)
                    self.all_events.append(frame)
                    self.order.append(frame["params"]["event_type"])
            else:
                self.requests.append(frame)
                if frame["method"] == "signalwire.disconnect" and self.replies_disconnect:
                    await self.send({"jsonrpc": "2.0", "id": frame["id"], "result": {}})
            self._changed.set()
        self.closed.set()
        self._changed.set()

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def send(self, frame: dict) -> None:
        with contextlib.suppress(ConnectionError):
            await self.socket.send_str(json.dumps(frame))

    async def ack(self, event: dict) -> None:
        await self.send({"jsonrpc": "2.0", "id": event["id"], "result": {}})

    async def ask(self, method: str, params: dict, frame_id=None) -> object:
        frame_id = frame_id if frame_id is not None else str(uuid.uuid4())
        await self.send({"jsonrpc": "2.0", "id": frame_id, "method": method, "params": params})
        return frame_id

    async def request(self, method: str, params: dict, frame_id=None) -> dict:
        frame_id = await self.ask(method, params, frame_id)
        await self.until(lambda: frame_id in self.responses or self.closed.is_set())
        if frame_id not in self.responses:
            raise ConnectionError("closed before the reply came")
        return self.responses.pop(frame_id)

    async def command(self, method: str, call_id: str, frame_id=None, **params) -> dict:
        reply = await self.request(method, {"node_id": "node-1", "call_id": call_id, **params}, frame_id)
        return reply["result"]

    async def connect(self, **params) -> dict:
        reply = await self.request("signalwire.connect", connect_params(**params))
        return reply.get("result", reply)

    async def event(self, event_type: str = "") -> dict:
        """The next event (of that type); earlier ones of other types are dropped."""
        while True:
            await self.until(lambda: self.events or self.closed.is_set())
            if not self.events:
                raise ConnectionError("closed before the event came")
            frame = self.events.popleft()
            if not event_type or frame["params"]["event_type"] == event_type:
                return frame

    async def asked(self, method: str) -> dict:
        """The next request of the server of that method (or event type)."""
        while True:
            await self.until(lambda: self.requests)
            frame = self.requests.popleft()
            if method in (frame["method"], frame["params"].get("event_type")):
                return frame
