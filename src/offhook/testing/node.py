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
import uuid
import weakref
from collections.abc import Callable
from typing import Any, Final, Self

import msgspec
from aiohttp import WSMsgType, web

from offhook.errors import CommandRefused, OffhookError
from offhook.protocol import messaging, methods
from offhook.protocol.codes import RpcCode
from offhook.protocol.frames import (
    AUTHORIZATION_STATE,
    ConnectParams,
    ConnectResult,
    FrameError,
    Request,
    Response,
    RpcError,
    dump_frame,
    parse_frame,
)
from offhook.protocol.params import dump_params
from offhook.protocol.states import Direction
from offhook.protocol.verbs.state import RECEIVE_EVENT
from offhook.testing.scripted_answers import Answer, Answers
from offhook.testing.scripted_call import NODE_ID, ScriptedCall
from offhook.testing.scripted_session import ScriptedSession

__all__ = ["NODE_ID", "ScriptedCall", "ScriptedNode"]

_TOKEN: Final = "token"  # noqa: S105  it guards nothing: no call behind it is real
_KEEPS_IDS_S: Final = 600.0


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
        self.host = ""
        self._project = project
        self._token = token
        self._keeps_ids = keeps_ids
        self._tls = tls
        self._sessions: dict[str, ScriptedSession] = {}
        self._answers = Answers(self)
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

    @property
    def calls(self) -> dict[str, ScriptedCall]:
        """Every call, by id."""
        return self._answers.calls

    # --- what the test says ---------------------------------------------------------------------------------

    async def offer(
        self, context: str = "default", from_number: str = "+15550000001", to_number: str = "+15550000002"
    ) -> ScriptedCall:
        """Let somebody call: offered to the client that subscribed to the context last.

        Raises:
            OffhookError: nobody is subscribed to it.
        """
        taker = self._taker(context)
        device = {"type": "phone", "params": {"from_number": from_number, "to_number": to_number}}
        call = self._answers.add_call(taker, Direction.INBOUND, device)
        await taker.event(RECEIVE_EVENT, call.receive_params(context, self._project), context)
        return call

    async def message(
        self,
        body: str,
        context: str = "default",
        from_number: str = "+15550000001",
        to_number: str = "+15550000002",
    ) -> str:
        """Let somebody send a message to whoever subscribed to the context last: its id.

        Raises:
            OffhookError: nobody is subscribed to it.
        """
        event = messaging.MessageEvent(
            message_id=str(uuid.uuid4()),
            context=context,
            direction="inbound",
            from_number=from_number,
            to_number=to_number,
            message_state="received",
            body=body,
        )
        await self._taker(context).event(messaging.RECEIVE_EVENT, msgspec.to_builtins(event), context)
        return event.message_id

    async def end_messages(self, state: str = "delivered", reason: str = "") -> None:
        """End the messages that wait because ``messaging.send`` is held."""
        await self._answers.end_messages(state, reason)

    def _taker(self, context: str) -> ScriptedSession:
        takers = [session for session in self._sessions.values() if context in session.contexts]
        if not takers:
            raise OffhookError(f"no client is subscribed to the context {context!r}")
        return takers[-1]

    def hold(self, *wanted: str) -> None:
        """Operations of these methods go on until they are stopped or finished by the test."""
        self._answers.held.update(wanted)

    def mute(self, *wanted: str) -> None:
        """Take requests of these methods, and do not reply."""
        self._muted.update(wanted)

    def unmute(self) -> None:
        """Reply to all methods again."""
        self._muted.clear()

    def answer(self, method: str, answer: Answer | dict[str, Any]) -> None:
        """Reply to a method with this result, and nothing else."""
        self._answers.fixed[method] = answer if callable(answer) else lambda _: answer

    def leg(self, tag: str, device: dict[str, Any] | None = None) -> ScriptedCall:
        """Make an outbound leg of a dial, for tests that play the dial by hand."""
        session = next(reversed(self._sessions.values()))
        return self.add_leg(tag, device or {"type": "phone", "params": {}}, session)

    def add_leg(self, tag: str, device: dict[str, Any], session: ScriptedSession) -> ScriptedCall:
        """Make an outbound leg of this session."""
        call = self._answers.add_call(session, Direction.OUTBOUND, device)
        call.tag = tag
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
            transport, session.socket, session.transport = session.transport, None, None
            if transport is not None:
                transport.abort()

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
        session: ScriptedSession | None = None
        async for message in socket:
            if message.type is not WSMsgType.TEXT or socket in self._frozen:
                continue
            try:
                frame = parse_frame(message.data)
            except FrameError as error:
                reply = Response(id=error.frame_id, error=RpcError(int(error.code), str(error)))
                await socket.send_str(dump_frame(reply))
                continue
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
        if session is not None and session.socket is socket:  # a transport that has ended is not to be cut again
            session.socket = session.transport = None
        return socket

    async def _connect(self, frame: Request, socket: web.WebSocketResponse) -> ScriptedSession | None:
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
            session = ScriptedSession(f"signalwire_{uuid.uuid4().hex}_{next(self._numbers)}")
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

    async def _request(self, frame: Request, session: ScriptedSession) -> None:
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
            result, after = self._answers.take(frame, session)
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
