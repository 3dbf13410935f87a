"""A RELAY node without telephony: a real WebSocket server that answers every method with the events it would bring.

For tests of programs that use the SDK: no call is real, but every frame is. Verbs finish at once unless they are
held; what the party does is said by the test.

    async with ScriptedNode() as node:
        client = RelayClient("project", "token", node.host, ["default"])
        ...
        call = await node.offer()
        await call.until("calling.play")
        await call.press("1")
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

import msgspec
from aiohttp import WSMsgType, web

from offhook.errors import CommandRefused, OffhookError
from offhook.protocol import methods
from offhook.protocol.codes import ResultCode, RpcCode
from offhook.protocol.devices import ReportedDevice
from offhook.protocol.frames import (
    AUTHORIZATION_STATE,
    ConnectParams,
    ConnectResult,
    ContextsParams,
    EventParams,
    FrameId,
    Request,
    Response,
    RpcError,
    dump_frame,
    parse_frame,
)
from offhook.protocol.params import dump_params, parse_params
from offhook.protocol.states import CallState, DialState, Direction, EndReason, EndSource
from offhook.protocol.verbs import PARAMS, collect, dial, echo, play, record, send_digits
from offhook.protocol.verbs.state import RECEIVE_EVENT, STATE_EVENT, ReceiveEvent, StateEvent

__all__ = ["ScriptedCall", "ScriptedNode"]

NODE_ID: Final = "scripted-node"
_TOKEN: Final = "token"  # noqa: S105  it guards nothing: no call behind it is real
_KEEPS_IDS_S: Final = 600.0
_SETTLED: Final = frozenset({"digit", "speech", "no_input", "no_match", "finished", "error"})


class ScriptedCall:
    """A call on the scripted node, as its party sees it."""

    def __init__(self, node: ScriptedNode, session: _Session, direction: Direction, device: dict[str, Any]) -> None:
        self.call_id = str(uuid.uuid4())
        self.direction = direction
        self.state = CallState.CREATED
        self.tag = ""
        self.device = device
        self.open: dict[str, str] = {}
        self._node = node
        self._session = session
        self._segment_id = str(uuid.uuid4())

    def __repr__(self) -> str:
        return f"ScriptedCall(call_id={self.call_id!r}, state={self.state.value!r})"

    async def until(self, method: str, timeout_s: float = 5.0) -> dict[str, Any]:
        """Wait until the app sends this method for the call, or return at once if it did: its params, taken once."""
        return await self._node.until(method, self.call_id, timeout_s=timeout_s)

    async def press(self, digits: str, terminator: str = "") -> None:
        """Press keys, as soon as a collect is open; it settles."""
        await self._collected({"type": "digit", "params": {"digits": digits, "terminator": terminator}})

    async def say(self, text: str, confidence: float = 90.0) -> None:
        """Say something, as soon as a collect is open; it settles."""
        await self._collected({"type": "speech", "params": {"text": text, "confidence": confidence}})

    async def be_silent(self) -> None:
        """Let the collects that are open find no input."""
        await self._collected({"type": "no_input"})

    async def finish(self, control_id: str, state: str = "finished") -> None:
        """End a held operation, as soon as it has begun."""
        await self._node.settle(lambda: control_id in self.open)
        method = self.open.pop(control_id)
        await self._end_operation(control_id, method, state)

    async def hangup(self, reason: EndReason = EndReason.HANGUP) -> None:
        """Hang up."""
        await self.end(reason, EndSource.INBOUND)

    async def send(self, event_type: str, params: dict[str, Any]) -> None:
        """Send any event of this call; the address is added."""
        await self._session.event(event_type, {"node_id": NODE_ID, "call_id": self.call_id, **params})

    async def move(self, state: CallState, **more: Any) -> None:
        """Enter a state and tell the app."""
        self.state = state
        event = StateEvent(
            node_id=NODE_ID,
            call_id=self.call_id,
            segment_id=self._segment_id,
            tag=self.tag,
            call_state=state,
            direction=self.direction,
            device=msgspec.convert(self.device, ReportedDevice),
            start_time=int(time.time() * 1000),
            **more,
        )
        await self._session.event(STATE_EVENT, dump_params(event))

    async def end(self, reason: EndReason, source: EndSource) -> None:
        """End: all that is open, then the call."""
        if self.state in (CallState.ENDING, CallState.ENDED):
            return
        await self.move(CallState.ENDING, end_reason=reason, end_source=source)
        for control_id, method in list(self.open.items()):
            del self.open[control_id]
            await self._end_operation(control_id, method, "finished")
        await self.move(CallState.ENDED, end_reason=reason, end_source=source)

    def receive_params(self, context: str, project: str) -> dict[str, Any]:
        """Params of its offer."""
        return dump_params(
            ReceiveEvent(
                node_id=NODE_ID,
                call_id=self.call_id,
                segment_id=self._segment_id,
                project_id=project,
                context=context,
                device=msgspec.convert(self.device, ReportedDevice),
            )
        )

    def winner_params(self) -> dict[str, Any]:
        """What the dial event says of the leg that answered."""
        return {
            "node_id": NODE_ID,
            "call_id": self.call_id,
            "segment_id": self._segment_id,
            "tag": self.tag,
            "call_state": "answered",
            "direction": "outbound",
            "device": self.device,
            "dial_winner": "true",
        }

    async def begin_operation(self, method: str, params: Mapping[str, Any], *, held: bool) -> None:
        """What follows the 200 of a verb."""
        control_id = str(params.get("control_id", ""))
        first, event_type = _BEGINNINGS[method]
        if method in _RECORDS:
            await self._recorded(control_id, params, "recording")
        elif first:
            await self.send(event_type, {**_keyed(control_id), "state": first})
        if held or method in _COLLECTS:
            self.open[control_id] = method
            self._node.stirred()
        else:
            await self._end_operation(control_id, method, "finished")

    async def steer(self, method: str, control_id: str) -> None:
        """Pause, resume or stop what is open."""
        started = self.open[control_id]
        command = method.rpartition(".")[2]
        if command == "stop":
            del self.open[control_id]
            await self._end_operation(control_id, started, "finished")
        elif command in ("pause", "resume"):
            state = "paused" if command == "pause" else _BEGINNINGS[started][0]
            await self.send(_BEGINNINGS[started][1], {"control_id": control_id, "state": state})

    async def _end_operation(self, control_id: str, method: str, state: str) -> None:
        if method in _COLLECTS:
            await self.send(collect.EVENT, {"control_id": control_id, "result": {"type": state}})
            await self.send(collect.EVENT, {"control_id": control_id, "result": {"type": "no_input"}})
        elif method in _RECORDS:
            done = {"url": f"https://scripted.example/{control_id}.wav", "duration": 1.5, "size": 24_044}
            await self._recorded(control_id, {}, state, **(done if state == "finished" else {}))
        else:
            await self.send(_BEGINNINGS[method][1], {**_keyed(control_id), "state": state})

    async def _recorded(self, control_id: str, params: Mapping[str, Any], state: str, **more: Any) -> None:
        asked = params.get("record", {}).get("audio", {})
        audio = {"format": "wav", "stereo": False, "direction": "speak", **asked}
        await self.send(
            record.EVENT,
            {"control_id": control_id, "state": state, "recording_id": control_id, "record": {"audio": audio}, **more},
        )

    async def _collected(self, result: dict[str, Any]) -> None:
        await self._node.settle(lambda: not _COLLECTS.isdisjoint(self.open.values()))
        for control_id, method in list(self.open.items()):
            if method in _COLLECTS:
                if method == "calling.play_and_collect":
                    await self.send(play.EVENT, {"control_id": control_id, "state": "finished"})
                if result["type"] in _SETTLED:
                    del self.open[control_id]
                await self.send(collect.EVENT, {"control_id": control_id, "result": result})


_COLLECTS: Final = frozenset({"calling.collect", "calling.play_and_collect"})
_RECORDS: Final = frozenset({"calling.record"})
_BEGINNINGS: Final[dict[str, tuple[str, str]]] = {
    "calling.play": ("playing", play.EVENT),
    "calling.record": ("recording", record.EVENT),
    "calling.collect": ("", collect.EVENT),
    "calling.play_and_collect": ("playing", play.EVENT),
    "calling.send_digits": ("", send_digits.EVENT),
    "calling.echo": ("echoing", echo.EVENT),
}


def _keyed(control_id: str) -> dict[str, Any]:
    return {"control_id": control_id} if control_id else {}


class _Session:
    """One client's session: outlives its sockets."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.contexts: list[str] = []
        self.socket: web.WebSocketResponse | None = None
        self.transport: asyncio.WriteTransport | None = None
        self.unacked: OrderedDict[str, str] = OrderedDict()
        self.replies: dict[FrameId, Response] = {}

    async def event(self, event_type: str, params: dict[str, Any], context: str = "") -> None:
        """Send an event, and keep it until it is acked."""
        envelope = EventParams(
            event_type=event_type, params=params, event_channel=self.protocol, timestamp=time.time(), context=context
        )
        frame_id = str(uuid.uuid4())
        text = dump_frame(Request(frame_id, methods.EVENT, msgspec.to_builtins(envelope)))
        self.unacked[frame_id] = text
        await self.send(text)

    async def send(self, text: str) -> None:
        if self.socket is not None and not self.socket.closed:
            try:
                await self.socket.send_str(text)
            except ConnectionError:
                return  # kept in unacked, sent again after the resume


Answer = Callable[[dict[str, Any]], dict[str, Any]]


class ScriptedNode:
    """The server. ``requests`` is every request in its order: method and params.

    Args:
        project: the project it accepts.
        token: the token it accepts.
        keeps_ids: repeat the reply to a request that comes again with its id, as our node does.
        tls: serve ``wss`` on localhost with this context.
    """

    def __init__(
        self,
        project: str = "project",
        token: str = _TOKEN,
        *,
        keeps_ids: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.connects: list[ConnectParams] = []
        self.calls: dict[str, ScriptedCall] = {}
        self.host = ""
        self._project = project
        self._token = token
        self._keeps_ids = keeps_ids
        self._tls = tls
        self._sessions: dict[str, _Session] = {}
        self._answers: dict[str, Answer] = {}
        self._held: set[str] = set()
        self._muted: set[str] = set()
        self._taken: set[int] = set()
        self._frozen: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()
        self._changed = asyncio.Event()
        self._numbers = itertools.count(1)
        self._runner: web.AppRunner | None = None

    def __repr__(self) -> str:
        return f"ScriptedNode(host={self.host!r}, calls={len(self.calls)})"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        port = self._runner.addresses[0][1]
        self.host = f"ws://127.0.0.1:{port}" if self._tls is None else f"localhost:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drop()
        if self._runner is not None:
            await self._runner.cleanup()

    # --- what the test says ---------------------------------------------------------------------------------

    async def offer(
        self, context: str = "default", from_number: str = "+15550000001", to_number: str = "+15550000002"
    ) -> ScriptedCall:
        """Let somebody call: offered to the client that subscribed to the context last.

        Raises:
            OffhookError: nobody is subscribed to it.
        """
        takers = [session for session in self._sessions.values() if context in session.contexts]
        if not takers:
            raise OffhookError(f"no client is subscribed to the context {context!r}")
        device = {"type": "phone", "params": {"from_number": from_number, "to_number": to_number}}
        call = ScriptedCall(self, takers[-1], Direction.INBOUND, device)
        self.calls[call.call_id] = call
        await takers[-1].event(RECEIVE_EVENT, call.receive_params(context, self._project), context)
        return call

    def hold(self, *wanted: str) -> None:
        """Operations of these methods go on until they are stopped or finished by the test."""
        self._held.update(wanted)

    def mute(self, *wanted: str) -> None:
        """Take requests of these methods, and do not reply."""
        self._muted.update(wanted)

    def unmute(self) -> None:
        """Reply to all methods again."""
        self._muted.clear()

    def answer(self, method: str, answer: Answer | dict[str, Any]) -> None:
        """Reply to a method with this result, and nothing else."""
        self._answers[method] = answer if callable(answer) else lambda _: answer

    def leg(self, tag: str, device: dict[str, Any] | None = None) -> ScriptedCall:
        """Make an outbound leg of a dial, for tests that play the dial by hand."""
        session = next(reversed(self._sessions.values()))
        call = ScriptedCall(self, session, Direction.OUTBOUND, device or {"type": "phone", "params": {}})
        call.tag = tag
        self.calls[call.call_id] = call
        return call

    async def send(self, event_type: str, params: dict[str, Any]) -> None:
        """Send any event to every session."""
        for session in self._sessions.values():
            await session.event(event_type, params)

    async def disconnect(self, *, restart: bool) -> None:
        """Ask every client to leave."""
        for session in self._sessions.values():
            await session.send(dump_frame(Request("leave", methods.DISCONNECT, {"restart": restart})))

    async def drop(self) -> None:
        """Cut every socket, without a word."""
        for session in self._sessions.values():
            session.socket = None
            if session.transport is not None:
                session.transport.abort()

    def freeze(self) -> None:
        """Say nothing any more on the sockets that are open now, and leave them open."""
        self._frozen.update(session.socket for session in self._sessions.values() if session.socket is not None)

    async def until(self, method: str, call_id: str | None = None, *, timeout_s: float = 5.0) -> dict[str, Any]:
        """Wait until a client sends this method, or return at once if one did: its params, each taken once."""
        async with asyncio.timeout(timeout_s):
            while True:
                for place, (name, params) in enumerate(self.requests):
                    mine = call_id is None or params.get("call_id") == call_id
                    if name == method and mine and place not in self._taken:
                        self._taken.add(place)
                        return params
                self._changed.clear()
                await self._changed.wait()

    async def until_connected(self, times: int = 1, *, timeout_s: float = 5.0) -> None:
        """Wait until clients have connected so many times in all."""
        await self.settle(lambda: len(self.connects) >= times, timeout_s=timeout_s)

    async def settle(self, condition: Callable[[], bool], *, timeout_s: float = 5.0) -> None:
        """Wait until a condition on what clients did holds."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def stirred(self) -> None:
        """Something changed that somebody may wait for."""
        self._changed.set()

    # --- serving --------------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=1 << 20, compress=False)
        await socket.prepare(request)
        session: _Session | None = None
        async for message in socket:
            if message.type is not WSMsgType.TEXT or socket in self._frozen:
                continue
            frame = parse_frame(message.data)
            if isinstance(frame, Response):
                if session is not None:
                    session.unacked.pop(str(frame.id), None)
                    if frame.id == "leave":
                        await socket.close()
            elif frame.method == methods.CONNECT:
                session = await self._connect(frame, socket)
                if session is not None:
                    session.transport = request.transport
            elif session is not None:
                await self._request(frame, session)
        return socket

    async def _connect(self, frame: Request, socket: web.WebSocketResponse) -> _Session | None:
        params = msgspec.convert(frame.params, ConnectParams)
        given = params.authentication
        if (given.project, given.token) != (self._project, self._token) and not given.jwt_token:
            error = RpcError(RpcCode.AUTHENTICATION_FAILED, "Authentication failed")
            await socket.send_str(dump_frame(Response(id=frame.id, error=error)))
            await socket.close()
            return None
        session = self._sessions.get(params.protocol or "")
        restored = session is not None
        if session is None:
            session = _Session(f"signalwire_{uuid.uuid4().hex}_{next(self._numbers)}")
            self._sessions[session.protocol] = session
        session.socket = socket
        session.contexts = list(params.contexts)
        result = ConnectResult(
            protocol=session.protocol,
            identity=f"{uuid.uuid4()}@{NODE_ID}",
            authorization={"signature": session.protocol.split("_")[1]},
            session_restored=restored,
            keeps_request_ids_s=_KEEPS_IDS_S if self._keeps_ids else 0.0,
        )
        await session.send(dump_frame(Response(id=frame.id, result=dump_params(result))))
        for text in list(session.unacked.values()):
            await session.send(text)
        await session.event(AUTHORIZATION_STATE, {"authorization_state": "c2NyaXB0ZWQ=:bm9kZQ=="})
        self.connects.append(params)
        self._changed.set()
        return session

    async def _request(self, frame: Request, session: _Session) -> None:
        if frame.id is not None and frame.id in session.replies:
            await session.send(dump_frame(session.replies[frame.id]))
            return
        if frame.method == methods.PING:
            await session.send(dump_frame(Response(id=frame.id, result=frame.params)))
            return
        self.requests.append((frame.method, frame.params))
        self._changed.set()
        if frame.method in self._muted:
            return
        try:
            result, after = self._accept(frame, session)
            reply = Response(id=frame.id, result=result)
        except CommandRefused as refusal:
            reply, after = Response(id=frame.id, result={"code": refusal.code, "message": refusal.message}), None
        if frame.method not in methods.KNOWN:
            error = RpcError(RpcCode.METHOD_NOT_FOUND, f"no method {frame.method}")
            reply, after = Response(id=frame.id, error=error), None
        if self._keeps_ids and frame.id is not None:
            session.replies[frame.id] = reply
        await session.send(dump_frame(reply))
        if after is not None:
            await after()

    def _accept(self, frame: Request, session: _Session) -> tuple[dict[str, Any], Callable[[], Any] | None]:
        """The result of a request, and what follows it."""
        if frame.method in self._answers:
            return self._answers[frame.method](frame.params), None
        if frame.method in (methods.RECEIVE, methods.UNRECEIVE):
            return self._contexts(frame, session), None
        struct = PARAMS.get(frame.method)
        if struct is None:
            raise CommandRefused(ResultCode.NOT_IMPLEMENTED, f"the scripted node has no script for {frame.method}")
        params = parse_params(struct, frame.params)
        result = {"code": "200", "message": params.accepted}
        if isinstance(params, dial.Dial):
            return result, lambda: self._dial(params, frame.params, session)
        call = self.calls.get(str(frame.params["call_id"]))
        if call is None:
            raise CommandRefused(ResultCode.NOT_FOUND, "no such call")
        if call.state is CallState.ENDED:
            raise CommandRefused(ResultCode.GONE, "the call is over")
        control_id = str(frame.params.get("control_id", ""))
        if "control_id" in frame.params and frame.method not in _BEGINNINGS and control_id not in call.open:
            raise CommandRefused(ResultCode.NOT_FOUND, f"no operation {control_id} is running")
        result["call_id"] = call.call_id
        if "control_id" in frame.params:
            result["control_id"] = control_id
        return result, lambda: self._act(call, frame.method, frame.params)

    def _contexts(self, frame: Request, session: _Session) -> dict[str, Any]:
        named = parse_params(ContextsParams, frame.params).all
        kept = [context for context in session.contexts if context not in named]
        session.contexts = kept + named if frame.method == methods.RECEIVE else kept
        return {
            "code": "200",
            "message": "Receiving events" if frame.method == methods.RECEIVE else "Unreceiving events",
        }

    async def _act(self, call: ScriptedCall, method: str, params: dict[str, Any]) -> None:
        if method == "calling.answer":
            await call.move(CallState.ANSWERED, answer_time=int(time.time() * 1000))
        elif method == "calling.end":
            await call.end(EndReason(params.get("reason", "hangup")), EndSource.OUTBOUND)
        elif method in _BEGINNINGS:
            await call.begin_operation(method, params, held=method in self._held)
        elif "control_id" in params:
            await call.steer(method, params["control_id"])

    async def _dial(self, params: dial.Dial, given: dict[str, Any], session: _Session) -> None:
        """Everybody answers at once, unless ``calling.dial`` is held."""
        head = {"node_id": NODE_ID, "tag": params.tag}
        await session.event(dial.EVENT, {**head, "dial_state": DialState.DIALING})
        if "calling.dial" in self._held:
            return
        call = self.leg(params.tag, given["devices"][0][0])
        await call.move(CallState.CREATED)
        await call.move(CallState.RINGING)
        await call.move(CallState.ANSWERED, dial_winner="true")
        await session.event(dial.EVENT, {**head, "dial_state": DialState.ANSWERED, "call": call.winner_params()})
