"""A RELAY client of the tests' own: frames by hand, every frame kept with its time and order."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from rig.node import NodeProcess

__all__ = ["Event", "Frame", "RelayPeer"]

WITHIN_S = 30.0
"""What is waited for comes at once where the machine has nothing else to do; nothing is judged by this."""


@dataclass
class Frame:
    """One frame as it came, in the order of the socket."""

    at: float
    number: int
    data: dict[str, Any]


@dataclass
class Event:
    """One ``signalwire.event``; ``number`` is its place among all frames of the socket."""

    at: float
    number: int
    id: str
    type: str
    params: dict[str, Any]
    seen: bool = False

    @property
    def call_id(self) -> str:
        return str(self.params.get("call_id", ""))

    @property
    def state(self) -> str:
        names = ("call_state", "state", "dial_state", "connect_state")
        return str(next((self.params[n] for n in names if n in self.params), ""))

    def __repr__(self) -> str:
        return f"{self.type.removeprefix('calling.call.')}:{self.state or self.params.get('result', '')}"


@dataclass
class RelayPeer:
    """One session. Acks events at once unless ``acks`` is off."""

    node: NodeProcess
    contexts: list[str] = field(default_factory=lambda: ["default"])
    protocol: str = ""
    host: str = ""
    acks: bool = True
    version: dict[str, int] = field(default_factory=lambda: {"major": 2, "minor": 0, "revision": 0})
    frames: list[Frame] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    connected: dict[str, Any] = field(default_factory=dict)
    _replies: dict[str, asyncio.Future[Frame]] = field(default_factory=dict)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _http: aiohttp.ClientSession | None = None
    socket: aiohttp.ClientWebSocketResponse | None = None
    _transport: asyncio.WriteTransport | None = None
    _tcp: Any = None
    _reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RelayPeer:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.socket and not self.socket.closed and self.contexts:
            await self.request("signalwire.unreceive", {"contexts": self.contexts})
        await self.close()

    async def open(self) -> None:
        """The WebSocket alone, verified against the node's CA."""
        context = ssl.create_default_context(cafile=str(self.node.ca_file))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        self._http = aiohttp.ClientSession()
        self.socket = await self._http.ws_connect(
            f"wss://{self.host or self.node.relay_host}/", ssl=context, max_msg_size=1 << 24
        )
        self._transport = self.socket._writer.transport
        self._tcp = self._transport.get_extra_info("socket")
        self._reading = asyncio.create_task(self._read(self.socket))

    async def connect(self, **params: Any) -> dict[str, Any]:
        await self.open()
        authentication = {"project": self.node.project, "token": self.node.token}
        wanted = {"version": self.version, "authentication": authentication, "agent": "probe/1", "event_acks": True}
        if self.contexts:
            wanted["contexts"] = self.contexts
        if self.protocol:
            wanted["protocol"] = self.protocol
        self.connected = await self.request("signalwire.connect", {**wanted, **params})
        self.protocol = self.connected["protocol"]
        return self.connected

    async def close(self) -> None:
        if self.socket:
            await self.socket.close()
        if self._reading:
            await asyncio.wait([self._reading], timeout=2)
        if self._http:
            await self._http.close()
        await self._cut()

    async def drop(self) -> None:
        """Cut the TCP connection without a close frame."""
        await self._cut()
        await self.close()

    async def _cut(self) -> None:
        """Do not wait for the other side's end of TLS: a node that is killed never sends it."""
        transport, self._transport = self._transport, None
        if transport is not None and self._tcp.fileno() >= 0:  # Python 3.11.2 fails at an abort of what is closed
            transport.abort()
            await asyncio.sleep(0)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            data = json.loads(message.data)
            frame = Frame(time.time(), len(self.frames), data)
            self.frames.append(frame)
            if "method" not in data:
                future = self._replies.pop(data["id"], None)
                if future and not future.done():
                    future.set_result(frame)
            elif data["method"] == "signalwire.ping":
                await self.send({"jsonrpc": "2.0", "id": data["id"], "result": data.get("params", {})})
            elif data["method"] == "signalwire.event":
                params = data["params"]
                self.events.append(Event(frame.at, frame.number, data["id"], params["event_type"], params["params"]))
                if self.acks:
                    await self.send({"jsonrpc": "2.0", "id": data["id"], "result": {}})
            self._arrived.set()
        self._arrived.set()

    async def send(self, data: dict[str, Any]) -> None:
        assert self.socket
        await self.socket.send_str(json.dumps(data))

    async def call(self, method: str, params: dict[str, Any], *, id: str = "", within_s: float = WITHIN_S) -> Frame:  # noqa: A002
        """Send a request; the frame that answers it, result or error."""
        request_id = id or str(uuid.uuid4())
        future = self._replies[request_id] = asyncio.get_running_loop().create_future()
        await self.send({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
        return await asyncio.wait_for(future, within_s)

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The ``result`` of a request; an error of the protocol fails the test."""
        frame = await self.call(method, params)
        assert "result" in frame.data, f"{method}: {frame.data}"
        result: dict[str, Any] = frame.data["result"]
        return result

    async def command(
        self, call: Event | dict[str, Any], verb: str, code: str = "200", **params: Any
    ) -> dict[str, Any]:
        """``calling.<verb>`` on a call; its code must be as expected."""
        address = call.params if isinstance(call, Event) else call
        where = {"node_id": address["node_id"], "call_id": address["call_id"]}
        result = await self.request(f"calling.{verb}", {**where, **params})
        assert result.get("code") == code, f"{verb}: {result}"
        return result

    async def event(
        self, kind: str, wanted: Callable[[Event], bool] = lambda _e: True, *, within_s: float = WITHIN_S
    ) -> Event:
        """The first event of a kind (``state``, ``play``) not yet handed out that is ``wanted``."""
        name = kind if "." in kind else f"calling.call.{kind}"
        until = time.monotonic() + within_s
        while True:
            self._arrived.clear()
            for event in self.events:
                if not event.seen and event.type == name and wanted(event):
                    event.seen = True
                    return event
            remaining = until - time.monotonic()
            if remaining <= 0 or (self.socket and self.socket.closed):
                came = [f"{e!r}" for e in self.events[-30:]]
                raise AssertionError(f"no {name} as wanted within {within_s} s; came: {came}")
            try:
                await asyncio.wait_for(self._arrived.wait(), remaining)
            except TimeoutError:
                continue

    async def state(self, call: Event | dict[str, Any], state: str, within_s: float = WITHIN_S) -> Event:
        """The ``call.state`` event of a call that says ``state``."""
        call_id = call.call_id if isinstance(call, Event) else call["call_id"]
        return await self.event("state", lambda e: e.call_id == call_id and e.state == state, within_s=within_s)

    async def finished(self, kind: str, control_id: str, within_s: float = WITHIN_S) -> Event:
        """The ``finished`` event of an action."""
        wanted = lambda e: e.params.get("control_id") == control_id and e.state == "finished"  # noqa: E731
        return await self.event(kind, wanted, within_s=within_s)

    def of_call(self, call_id: str) -> list[Event]:
        return [e for e in self.events if e.call_id == call_id]
