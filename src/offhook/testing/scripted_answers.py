"""What the scripted node says to each request, and what it does after that."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from offhook.errors import CommandRefused
from offhook.protocol import messaging, methods
from offhook.protocol.codes import ResultCode
from offhook.protocol.frames import ContextsParams, Request
from offhook.protocol.params import parse_params
from offhook.protocol.states import CallState, DialState, Direction, EndReason, EndSource
from offhook.protocol.verbs import PARAMS, dial
from offhook.testing.scripted_call import NODE_ID, ScriptedCall, Stage
from offhook.testing.scripted_session import ScriptedSession
from offhook.testing.scripts import SCRIPTS

__all__ = ["Answer", "Answers"]

Answer = Callable[[dict[str, Any]], dict[str, Any]]
After = Callable[[], Awaitable[None]]

_MESSAGE_STATES: Final = ("queued", "initiated", "sent", "delivered")


class Answers:
    """``calls`` by id; ``fixed`` replies of the test by method; ``held`` methods, which go on until they are ended."""

    def __init__(self, stage: Stage) -> None:
        self.calls: dict[str, ScriptedCall] = {}
        self.fixed: dict[str, Answer] = {}
        self.held: set[str] = set()
        self._stage = stage
        self._queued: list[_Sent] = []

    def __repr__(self) -> str:
        return f"Answers(calls={len(self.calls)}, held={sorted(self.held)!r})"

    def add_call(self, session: ScriptedSession, direction: Direction, device: dict[str, Any]) -> ScriptedCall:
        """Make a call."""
        call = ScriptedCall(self._stage, session, direction, device)
        self.calls[call.call_id] = call
        return call

    def take(self, frame: Request, session: ScriptedSession) -> tuple[dict[str, Any], After | None]:
        """Make the result of a request, and what follows it.

        Raises:
            CommandRefused: the request is wrong, or there is no such call or operation.
        """
        if frame.method in self.fixed:
            return self.fixed[frame.method](frame.params), None
        if frame.method in (methods.RECEIVE, methods.UNRECEIVE):
            return _contexts(frame, session), None
        if frame.method == messaging.SendMessage.method:
            return self._message(frame, session)
        struct = PARAMS.get(frame.method)
        if struct is None:
            raise CommandRefused(ResultCode.NOT_IMPLEMENTED, f"the scripted node has no script for {frame.method}")
        params = parse_params(struct, frame.params)
        result = {"code": "200", "message": params.accepted}
        if isinstance(params, dial.Dial):
            return result, lambda: self._dial(params, frame.params, session)
        call = self._call(frame)
        result["call_id"] = call.call_id
        if "control_id" in frame.params:
            result["control_id"] = frame.params["control_id"]
        result.update(call.result_of(frame.method, frame.params))
        return result, lambda: self._act(call, frame.method, frame.params)

    def _call(self, frame: Request) -> ScriptedCall:
        call = self.calls.get(str(frame.params["call_id"]))
        if call is None:
            raise CommandRefused(ResultCode.NOT_FOUND, "no such call")
        if call.state is CallState.ENDED:
            raise CommandRefused(ResultCode.GONE, "the call is over")
        control_id = frame.params.get("control_id")
        if control_id is not None and frame.method not in SCRIPTS and control_id not in call.open:
            if control_id not in call.begun:
                raise CommandRefused(ResultCode.NOT_FOUND, f"no operation {control_id} is running")
            if not frame.method.endswith(".stop"):  # to stop what has ended is no mistake
                raise CommandRefused(ResultCode.CONFLICT, "It has ended")
        return call

    async def _act(self, call: ScriptedCall, method: str, params: dict[str, Any]) -> None:
        match method:
            case "calling.answer":
                await call.move(CallState.ANSWERED, answer_time=int(time.time() * 1000))
            case "calling.accept":
                await call.move(CallState.RINGING)
            case "calling.end":
                await call.end(EndReason(params.get("reason", "hangup")), EndSource.OUTBOUND)
            case "calling.connect":
                await call.bridge(params, held=method in self.held)
            case "calling.disconnect":
                await call.unbridge()
            case _ if method in SCRIPTS:
                await call.begin_operation(method, params, held=method in self.held)
            case _ if params.get("control_id") in call.open:
                await call.steer(method, params["control_id"])

    async def _dial(self, params: dial.Dial, given: dict[str, Any], session: ScriptedSession) -> None:
        """Everybody answers at once, unless ``calling.dial`` is held."""
        head = {"node_id": NODE_ID, "tag": params.tag}
        await session.event(dial.EVENT, {**head, "dial_state": DialState.DIALING})
        if params.method in self.held:
            return
        call = self.add_call(session, Direction.OUTBOUND, given["devices"][0][0])
        call.tag = params.tag
        await call.move(CallState.CREATED)
        await call.move(CallState.RINGING)
        await call.move(CallState.ANSWERED, dial_winner="true")
        await session.event(dial.EVENT, {**head, "dial_state": DialState.ANSWERED, "call": call.winner_params()})

    def _message(self, frame: Request, session: ScriptedSession) -> tuple[dict[str, Any], After]:
        params = parse_params(messaging.SendMessage, frame.params)
        message_id = str(uuid.uuid4())
        result = {"code": "200", "message": "Message accepted", "message_id": message_id}
        return result, lambda: self._deliver(params, message_id, session)

    async def _deliver(self, params: messaging.SendMessage, message_id: str, session: ScriptedSession) -> None:
        """Every message arrives, unless ``messaging.send`` is held; MMS have no receipt."""
        sent = _Sent(message_id, params, session)
        if params.method in self.held:
            self._queued.append(sent)
            await sent.tell(_MESSAGE_STATES[0])
            return
        for state in _MESSAGE_STATES[: 3 if params.media else 4]:
            await sent.tell(state)

    async def end_messages(self, state: str, reason: str) -> None:
        """End the messages that are held."""
        queued, self._queued = self._queued, []
        for sent in queued:
            await sent.tell(state, reason)


class _Sent(msgspec.Struct, frozen=True):
    """A message that a client sent."""

    message_id: str
    params: messaging.SendMessage
    session: Any

    async def tell(self, state: str, reason: str = "") -> None:
        """Tell how it goes."""
        params = self.params
        event = messaging.MessageEvent(
            message_id=self.message_id,
            context=params.context,
            direction="outbound",
            from_number=params.from_number,
            to_number=params.to_number,
            message_state=state,
            body=params.body or "",
            media=list(params.media),
            tag=params.tag or "",
            reason=reason,
        )
        await self.session.event(messaging.STATE_EVENT, msgspec.to_builtins(event), params.context)


def _contexts(frame: Request, session: ScriptedSession) -> dict[str, Any]:
    named = parse_params(ContextsParams, frame.params).all
    kept = [context for context in session.contexts if context not in named]
    is_receive = frame.method == methods.RECEIVE
    session.contexts = kept + named if is_receive else kept
    return {"code": "200", "message": "Receiving events" if is_receive else "Unreceiving events"}
