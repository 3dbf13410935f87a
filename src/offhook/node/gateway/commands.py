"""Commands: once per request id, by who may, answered in time, whatever the verb does."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from offhook.errors import CommandRefused, OffhookError
from offhook.node.calls.ports import Client, CommandRunner
from offhook.node.gateway.connection import Connection
from offhook.node.gateway.events import Outbox, Turn
from offhook.node.gateway.ledger import key_of
from offhook.node.gateway.ownership import Ownership
from offhook.node.gateway.repeats import Repeats
from offhook.node.gateway.sessions import Session
from offhook.node.gateway.settings import GatewaySettings
from offhook.node.gateway.steady import SteadyTime
from offhook.node.gateway.tasks import Tasks
from offhook.node.store.port import Journal, JournalFailure, StoredReply
from offhook.protocol.codes import ResultCode, is_success
from offhook.protocol.frames import FrameId, Request, Response, dump_frame
from offhook.protocol.messaging import SendMessage
from offhook.protocol.verbs import METHODS, spec_of

__all__ = ["Commands"]

log = structlog.get_logger(__name__)
_NEW_CALLS = frozenset({"calling.dial", "calling.begin"})
_PASS = "calling.pass"  # noqa: S105  a method, not a secret


@dataclass(slots=True)
class _Command:
    """One request under way."""

    session: Session
    connection: Connection
    request: Request
    frame_id: FrameId
    at: float
    """When it was taken, by ``SteadyTime``."""
    asked_at: float
    """When its client asked, by the loop."""
    first: asyncio.Future[str]
    """Its first reply, for who asks again."""
    turn: Turn
    is_answered: bool = False


class Commands:
    """From request to reply: id, ownership, runner, journal, reply, and then the events that waited for it."""

    def __init__(
        self,
        runner: CommandRunner,
        outbox: Outbox,
        ownership: Ownership,
        journal: Journal,
        settings: GatewaySettings,
        tasks: Tasks,
        clock: SteadyTime,
    ) -> None:
        self._runner = runner
        self._outbox = outbox
        self._ownership = ownership
        self._journal = journal
        self._settings = settings
        self._tasks = tasks
        self._clock = clock
        self._repeats = Repeats(settings.starts_max)
        outbox.on_leave = self._repeats.left
        self.is_draining = False
        """New calls are refused."""
        self.overload: Callable[[], str] = lambda: ""
        """Why the node is too busy for a new call; empty: it is not."""
        self.failures = 0
        """Commands that ended in an error nobody foresaw."""

    def calls_of(self, session: Session) -> int:
        """How many live calls the session controls or is asked to take."""
        return self._ownership.load_of(session.protocol)

    def live_calls_of(self, session: Session) -> dict[str, list[str]]:
        """Live calls that the session controls or is asked to take, with the ``control_id`` of what runs on each."""
        return {call_id: self._outbox.running_on(call_id) for call_id in self._ownership.held_by(session.protocol)}

    def take(
        self, session: Session, connection: Connection, request: Request, frame_id: FrameId, asked_at: float
    ) -> None:
        """Run a command, or answer what its id was answered before. ``asked_at``: from then on the client waits."""
        first = session.ledger.find(frame_id)
        if first is not None:
            first.add_done_callback(lambda reply: connection.send(reply.result()) and None)
            return
        repeated = self._repeats.find(session, request)
        if repeated is not None:
            reply = _reply(frame_id, repeated)
            session.ledger.settle(frame_id, session.ledger.begin(frame_id, self._clock.now()), reply)
            connection.send(reply)
            return
        if self._begins_call(session, request) and (why := self._refuses_new_calls()):
            connection.send(_reply(frame_id, refusal("503", why)))  # not remembered: it may be tried again
            return
        at = self._clock.now()
        command = _Command(
            session,
            connection,
            request,
            frame_id,
            at,
            asked_at,
            session.ledger.begin(frame_id, at),
            self._outbox.begin_turn(request.method, request.params),
        )
        self._tasks.spawn(self._perform(command), request.method)

    def _begins_call(self, session: Session, request: Request) -> bool:
        """A dial that is under way, asked for again, begins none."""
        is_new = request.method in _NEW_CALLS
        return is_new and not self._outbox.dials.is_open(session.protocol, str(request.params.get("tag", "")))

    def _refuses_new_calls(self) -> str:
        if self.is_draining:
            return "this node is being restarted: dial again in a few seconds"
        if not self._journal.is_healthy:
            return f"the journal of this node cannot be written: {self._journal.remedy}"
        return self.overload()

    async def _perform(self, command: _Command) -> None:
        """Run it, however long it takes; answer within the time that a client waits for one."""
        loop = asyncio.get_running_loop()
        patience = loop.call_at(command.asked_at + self._settings.reply_timeout_s, self._too_slow, command)
        try:
            result = await self._run(command.session, command.request)
        finally:
            patience.cancel()
        if not command.is_answered:
            await self._answer(command, result)

    def _too_slow(self, command: _Command) -> None:
        method = command.request.method
        log.warning("command is slow", method=method)
        result = refusal(
            ResultCode.SERVER_ERROR,
            f"{method} took longer than {self._settings.reply_timeout_s:g} s and may still take effect: "
            "watch the call's events",
        )
        command.is_answered = True
        self._tasks.spawn(self._answer(command, result), f"late {method}")

    async def _answer(self, command: _Command, result: dict[str, Any]) -> None:
        """Whatever becomes of the reply, the events that wait for it go on: they may be other clients' too."""
        command.is_answered = True
        try:
            reply = await self._remember(command, result)
            if not command.connection.send(reply, command.turn.written):
                command.turn.written()
            command.session.ledger.settle(command.frame_id, command.first, reply)
        finally:
            command.turn.replied()

    async def _remember(self, command: _Command, result: dict[str, Any]) -> str:
        """Its reply as a frame, kept for who asks again."""
        method, turn = command.request.method, command.turn
        try:
            reply = _reply(command.frame_id, result)
        except (TypeError, ValueError):
            log.exception("result cannot be written as JSON", method=method)
            result = refusal(ResultCode.SERVER_ERROR, f"the node's result of {method} cannot be told")
            reply = _reply(command.frame_id, result)
        is_accepted = is_success(str(result.get("code", "")))
        if is_accepted:
            if spec_of(method) is not None:
                self._repeats.started(command.session, command.request, result)
            if method in _NEW_CALLS and turn.tag:
                self._outbox.dials.open(command.session.protocol, turn.tag)
            self._outbox.open_control(turn.call_id, turn.control_id, method, command.session.protocol)
        stored = StoredReply(command.session.protocol, key_of(command.frame_id), reply, command.at)
        if is_accepted and method in _NEW_CALLS:
            try:
                self._journal.save_reply(stored)
                await self._journal.sync()
            except JournalFailure:
                log.warning("accepted dial is not journalled", method=method)
        elif command.session.ledger.find(command.frame_id) is command.first:
            self._journal.save_reply(stored)
        return reply

    def _authorise(self, session: Session, request: Request) -> Request:
        if request.method == SendMessage.method:
            raise CommandRefused(
                ResultCode.NOT_IMPLEMENTED, "messaging.send: this node has no carrier for messages yet, only for calls"
            )
        if request.method not in METHODS:
            raise CommandRefused(ResultCode.NOT_IMPLEMENTED, f"{request.method} is not built on this node yet")
        call_id = request.params.get("call_id")
        if request.method in _NEW_CALLS or not isinstance(call_id, str):
            return request
        if self._ownership.is_foreign(call_id, session):  # exactly the answer that an unknown call gets
            return Request(request.id, request.method, {**request.params, "call_id": str(uuid.uuid4())})
        if request.method == _PASS:
            self._ownership.check(call_id, session)
        else:
            self._ownership.claim(call_id, session)
        return request

    async def _run(self, session: Session, request: Request) -> dict[str, Any]:
        """Its result, whatever happens."""
        method = request.method
        try:
            request = self._authorise(session, request)
            return await self._runner.run(method, request.params, Client(session.protocol))
        except CommandRefused as refused:
            return refusal(refused.code, refused.message)
        except OffhookError as error:
            log.warning("command failed", method=method, error=str(error))
            return refusal(ResultCode.SERVER_ERROR, f"{method} failed: {error}")
        except Exception:  # the wall of the JSON-RPC dispatcher
            self.failures += 1
            log.exception("command failed in a way nobody foresaw", method=method)
            return refusal(
                ResultCode.SERVER_ERROR, f"the node failed on {method}; its log says why. It may be tried again"
            )


def refusal(code: str, message: str) -> dict[str, Any]:
    """A result of the application failure channel (relay-protocol 1.3)."""
    return {"code": str(code), "message": message}


def _reply(frame_id: FrameId, result: dict[str, Any]) -> str:
    return dump_frame(Response(id=frame_id, result=result))
