"""Every text frame of a client, to whoever answers it. Every request is answered; nothing dies of garbage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from offhook.node.gateway.commands import Commands
from offhook.node.gateway.connection import Connection
from offhook.node.gateway.contexts import Contexts, ContextsRefused
from offhook.node.gateway.handshake import Handshake, HandshakeRefused
from offhook.node.gateway.limits import TokenBucket, find_excess, is_long
from offhook.node.gateway.pace import Pace
from offhook.node.gateway.sessions import Session, Sessions
from offhook.node.gateway.settings import GatewaySettings
from offhook.node.gateway.tasks import Tasks
from offhook.node.gateway.unacked import Truncation
from offhook.node.store.port import JournalFailure
from offhook.protocol import methods
from offhook.protocol.codes import RpcCode
from offhook.protocol.frames import (
    EVENTS_TRUNCATED,
    FrameError,
    FrameId,
    Request,
    Response,
    RpcError,
    dump_frame,
    parse_frame,
)

__all__ = ["Dispatcher"]

log = structlog.get_logger(__name__)
_PING_KEYS: tuple[str, ...] = ("timestamp", "payload")
_PAUSE_S = 0.02
"""A client beyond its rate is read this much slower, so that its flood costs itself."""
_TOKEN_BYTES = 16 << 10
"""A frame takes a token for each so many characters, beside that of its request."""
_STRANGER_PER_S = 1.0
_TOO_MANY = "too many frames before signalwire.connect"
_CONTEXTS_LOGGED = 10


class Dispatcher:
    """The frames of one connection."""

    def __init__(
        self,
        connection: Connection,
        sessions: Sessions,
        handshake: Handshake,
        commands: Commands,
        settings: GatewaySettings,
        tasks: Tasks,
    ) -> None:
        self._connection = connection
        self._sessions = sessions
        self._handshake = handshake
        self._commands = commands
        self._settings = settings
        self._tasks = tasks
        self._bucket = TokenBucket(_STRANGER_PER_S, settings.stranger_frames_max)
        self._contexts = Contexts(sessions, settings)
        self._pace = Pace(settings, tasks, self._take_request)
        self._connecting = False
        self._is_heard = False
        self.on_admitted: Callable[[], None] = lambda: None
        """Called once, when connect was accepted."""
        self.address = ""
        """Where the connection comes from, by which failures are counted; empty: this machine."""
        self.session: Session | None = None
        """Whose connection it is, once connect was accepted."""

    def receive(self, text: str) -> float:
        """Take one frame; returns for how long (seconds) to read nothing."""
        if self.session is None:
            return self._receive_from_stranger(text)
        if not self._is_heard:
            self._is_heard = True
            self.session.delivery.heard(self._connection)
        tokens = len(text) // _TOKEN_BYTES
        unpaid_s = self._spend(self.session, tokens) if tokens else 0.0
        return max(self._receive(text), unpaid_s)

    def receive_control(self) -> float:
        """A PING or PONG of the WebSocket came; the same."""
        if self.session is not None:
            return self._pause()
        return 0.0 if self._bucket.take(asyncio.get_running_loop().time()) else self._send_away(_TOO_MANY)

    def _receive_from_stranger(self, text: str) -> float:
        """Who has not connected may say little: it is looked at before anything is read."""
        if len(text) > self._settings.first_message_max_bytes:
            return self._send_away(
                f"more than {self._settings.first_message_max_bytes} bytes before signalwire.connect"
            )
        if not self._bucket.take(asyncio.get_running_loop().time()):
            return self._send_away(_TOO_MANY)
        return self._receive(text)

    def _send_away(self, why: str) -> float:
        self._error(None, RpcCode.CAPACITY_EXCEEDED, f"{why}: send signalwire.connect alone and await its reply")
        self._connection.close_after_reply(why)
        return self._settings.disconnect_timeout_s

    def _receive(self, text: str) -> float:
        try:
            frame = parse_frame(text)
        except FrameError as error:
            return self._refuse_frame(error)
        if isinstance(frame, Response):
            return 0.0 if self._take_response(frame) else self._pause()
        if frame.id is None:
            self._error(None, RpcCode.INVALID_REQUEST, "a request needs an `id`, by which it is answered")
            return self._pause()
        if is_long(frame.id, self._settings):
            return self._refuse_frame(FrameError(RpcCode.INVALID_REQUEST, self._long_id()))
        if self.session is None:
            self._take_request(frame, frame.id, asyncio.get_running_loop().time())
            return 0.0
        return self._take_in_time(self.session, frame, frame.id, len(text))

    def _take_in_time(self, session: Session, request: Request, frame_id: FrameId, size_bytes: int) -> float:
        """Who asks too fast is answered later; who would wait for too long is refused, and read slower."""
        now, allowance = self._look(session), session.allowance
        if self._pace.is_idle and allowance.take(now):
            self._take_request(request, frame_id, now)
            return 0.0
        wait_s = allowance.wait_s(now, 1.0)
        if wait_s <= self._settings.held_max_s:
            allowance.spend(now, 1.0)
            return self._pace.take(request, frame_id, size_bytes, wait_s)
        self._error(frame_id, RpcCode.CAPACITY_EXCEEDED, f"{allowance.excess(now)}: send slower and try again")
        return _PAUSE_S

    def _refuse_frame(self, error: FrameError) -> float:
        frame_id, why = error.frame_id, str(error)
        if is_long(frame_id, self._settings):
            frame_id, why = None, self._long_id()
        self._error(frame_id, error.code, why)
        return self._pause()

    def _long_id(self) -> str:
        return f"a request needs an `id` of at most {self._settings.id_max_characters} characters: choose a shorter one"

    def _pause(self) -> float:
        return 0.0 if self.session is None or self._take_token(self.session) else _PAUSE_S

    def _take_token(self, session: Session) -> bool:
        return session.allowance.take(self._look(session))

    def _spend(self, session: Session, tokens: int) -> float:
        return session.allowance.spend(self._look(session), tokens)

    def _look(self, session: Session) -> float:
        now = asyncio.get_running_loop().time()
        session.allowance.look(now, self._commands.calls_of(session))
        return now

    def _take_response(self, frame: Response) -> bool:
        """Whether it answered anything; what answers nothing counts like a request."""
        if self._connection.took_reply(frame.id):
            return True
        if self.session is None or not isinstance(frame.id, str) or frame.error is not msgspec.UNSET:
            return False
        return self.session.delivery.acknowledge(frame.id)

    def _take_request(self, request: Request, frame_id: FrameId, asked_at: float) -> None:
        if excess := _long_method(request, self._settings) or find_excess(request.params, self._settings):
            self._error(frame_id, RpcCode.INVALID_REQUEST, excess)
        elif request.method == methods.CONNECT:
            self._take_connect(request, frame_id)
        elif self.session is None:
            self._error(
                frame_id,
                RpcCode.AUTHENTICATION_FAILED,
                "not connected: send signalwire.connect first",
                {"signalwire_error_code": "AUTH_REQUIRED"},
            )
        elif request.method == methods.PING:
            self._result(frame_id, {key: request.params[key] for key in _PING_KEYS if key in request.params})
        elif request.method in (methods.RECEIVE, methods.UNRECEIVE):
            self._take_contexts(self.session, request, frame_id)
        elif request.method in methods.KNOWN:
            self._commands.take(self.session, self._connection, request, frame_id, asked_at)
        else:
            self._error(frame_id, RpcCode.METHOD_NOT_FOUND, f"no method of this protocol is named '{_short(request)}'")

    # --- the session's own methods ---

    def _take_connect(self, request: Request, frame_id: FrameId) -> None:
        if self.session is not None or self._connecting:
            self._error(frame_id, RpcCode.INVALID_REQUEST, "this socket is connected already: open another one")
            return
        self._connecting = True
        self._tasks.spawn(self._connect(request, frame_id), "connect")

    async def _connect(self, request: Request, frame_id: FrameId) -> None:
        try:
            admission = await self._handshake.admit(request.params, self.address)
        except HandshakeRefused as refused:
            self._connecting = False
            log.info("connect refused", code=int(refused.code), reason=str(refused))
            self._error(frame_id, refused.code, str(refused))
            if refused.is_final:
                self._connection.close_after_reply(refused.why)
            return
        except JournalFailure:
            self._connecting = False
            self._error(frame_id, RpcCode.NOT_AVAILABLE, "the node's journal cannot be read now: try again in a second")
            return
        if not self._connection.is_open:
            return
        session = self.session = admission.session
        self.on_admitted()
        self._sessions.connect(session, self._connection)
        self._result(frame_id, admission.result)
        if not admission.proved:
            self._connection.send(self._handshake.state_frame(session))
        self._tell_truncation(session)
        session.delivery.attach(self._connection)
        if admission.is_restored:  # what it may know of waits for its first word
            self._connection.hail()
        self._sessions.subscribe(session, admission.contexts)
        contexts = sorted(session.contexts)[:_CONTEXTS_LOGGED]
        log.info("client connected", restored=admission.is_restored, contexts=contexts)

    def _tell_truncation(self, session: Session) -> None:
        lost = session.delivery.truncation
        if lost.last:
            params = {"from": lost.first, "to": lost.last, "calls": self._commands.live_calls_of(session)}
            self._connection.send(self._handshake.event_frame(session, EVENTS_TRUNCATED, params))
            session.delivery.truncation = Truncation(0, 0)

    def _take_contexts(self, session: Session, request: Request, frame_id: FrameId) -> None:
        try:
            result = self._contexts.take(session, request)
        except ContextsRefused as refused:
            self._error(frame_id, refused.code, str(refused))
        else:
            self._result(frame_id, result)

    # --- replies ---

    def _result(self, frame_id: FrameId, result: dict[str, Any]) -> None:
        self._connection.send(dump_frame(Response(id=frame_id, result=result)))

    def _error(self, frame_id: FrameId | None, code: RpcCode, message: str, data: Any = None) -> None:
        error = RpcError(int(code), message, data)
        self._connection.send(dump_frame(Response(id=frame_id, error=error)))


def _long_method(request: Request, settings: GatewaySettings) -> str:
    longest = settings.id_max_characters
    return f"`method` is longer than {longest} characters: no method is" if len(request.method) > longest else ""


def _short(request: Request) -> str:
    return request.method[:64]
