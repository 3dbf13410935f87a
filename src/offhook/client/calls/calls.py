"""The calls of a client: offers, legs, dials, and which event belongs to which call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from offhook.client.actions.call_base import CallBase
from offhook.client.calls.call import Call
from offhook.client.calls.dialing import Dials, PendingDial
from offhook.client.events import DialEvent, RelayEvent
from offhook.client.events.base import text_of
from offhook.client.listening.tasks import Tasks
from offhook.client.verbs.connect import ConnectEvent
from offhook.errors import ConnectionLost, DialFailed, RelayError
from offhook.protocol.states import CallState, Direction
from offhook.protocol.verbs.dial import Dial
from offhook.protocol.verbs.end import End
from offhook.protocol.verbs.pass_ import Pass
from offhook.protocol.verbs.state import RECEIVE_EVENT, STATE_EVENT

__all__ = ["HANDLER", "CallHandler", "Calls", "LiveCalls"]

log = logging.getLogger("offhook.client")

CallHandler = Callable[[Call], Awaitable[object]]
LiveCalls = dict[str, frozenset[str]]
"""Calls by id, with the ``control_id`` of what runs on each."""
Execute = Callable[[str, Mapping[str, Any]], Coroutine[Any, Any, dict[str, Any]]]

_PARTING_TIMEOUT_S: Final = 2.0
HANDLER: Final = "on_call handler"
"""What runs for each inbound call."""


class Calls:
    """``live`` are the calls that are not over, ``dials`` the tags that wait for an answer."""

    def __init__(self, tasks: Tasks, execute: Execute, max_active: int) -> None:
        self.tasks = tasks
        self.handler: CallHandler | None = None
        self.live: dict[str, Call] = {}
        self.dials = Dials()
        self.execute = execute
        """Sends a request of a call."""
        self._max_active = max_active
        self._hearsay: dict[str, str] = {}
        """Calls that only the bridge of another call told of, and that call: as a rule another client's."""
        self._parting: set[asyncio.Task[None]] = set()

    async def part(self) -> None:
        """Let go out what keeps calls from being orphans: ends of legs nobody wants, calls passed on."""
        parting = self._parting - {asyncio.current_task()}
        if parting:
            await asyncio.wait(parting, timeout=_PARTING_TIMEOUT_S)

    def close(self) -> None:
        """The client is closed: end all that is open."""
        for call in list(self.live.values()):
            call.close("closed")
        self.dials.fail_all(ConnectionLost("the client was closed during dial", was_sent=True))

    def lose(self) -> None:
        """The session was lost, and with it the events of every call: nothing may wait for them any more."""
        self.dials.fail_all(ConnectionLost("the session was lost during dial", was_sent=True))
        for call in list(self.live.values()):
            log.warning("the session was lost, and the call with it", extra={"call_id": call.call_id})
            call.lose()

    def truncated(self, lives: LiveCalls | None) -> None:
        """Events were lost. What does not live ends, unless its own end is still on its way.

        Where nobody says what lives, no call may wait for what perhaps never comes.
        """
        for call in list(self.live.values()):
            if lives is None:
                call.missed_all()
            elif call.call_id not in self._hearsay:
                call.missed_events(lives.get(call.call_id))

    async def place(self, params: Mapping[str, Any], wait_s: float) -> Call:
        """Dial and wait for the answer; see ``RelayClient.dial``.

        Raises:
            DialFailed: nobody answered, or not in time.
            RelayError: the dial was refused.
        """
        pending = self.dials.begin(params["tag"])
        try:
            async with asyncio.timeout(wait_s):
                call = await self._answered(pending, params)
        except TimeoutError as error:
            self.abandon(pending)
            text = f"Dial timed out waiting for answer (tag={pending.tag})"
            raise DialFailed(text, tag=pending.tag, reason="timeout") from error
        except BaseException:
            self.abandon(pending)
            raise
        self.dials.finish(pending)
        return call

    async def _answered(self, pending: PendingDial, params: Mapping[str, Any]) -> Call:
        try:
            await self.execute(Dial.method, params)
        except RelayError:
            if not pending.is_answered:  # else its events tell more than the reply that did not come
                raise
        return await asyncio.shield(pending.answer)

    def abandon(self, pending: PendingDial) -> None:
        """Nobody waits for a dial any more: end its legs, those that come later too."""
        legs = self.dials.abandon(pending, asyncio.get_running_loop().time())
        if pending.is_answered:
            legs.append(pending.answer.result())  # answered in the moment in which the wait was given up
        for leg in {leg.call_id: leg for leg in legs}.values():
            self._end_orphan(leg)

    def _end_orphan(self, leg: Call) -> None:
        reason = "hangup" if leg.state == CallState.ANSWERED else "cancel"
        what = "ending a leg of a dial that was given up"
        log.info(what, extra={"call_id": leg.call_id})
        self._send_off(leg, End.method, {"reason": reason}, what)

    def _send_off(self, call: Call, method: str, params: Mapping[str, Any], what: str) -> None:
        """Send a command that nobody waits for. That it may fail with the connection is no failure of ours."""

        async def command() -> None:
            try:
                await call.command(method, params)
            except RelayError as error:
                log.warning("%s failed: %s", what, error, extra={"call_id": call.call_id})

        task = self.tasks.start(command(), what=what, call_id=call.call_id)
        self._parting.add(task)
        task.add_done_callback(self._parting.discard)

    def dispatch(self, event: RelayEvent) -> None:
        """Take an event to the call, dial or handler that it is for."""
        if event.event_type == RECEIVE_EVENT:
            self._offered(event)
            return
        if isinstance(event, DialEvent):
            self.dials.handle(event, self._winner(event))
            return
        is_state = event.event_type == STATE_EVENT
        call_id = text_of(event.params, "call_id")
        call = self.live.get(call_id)
        if self._hearsay:
            self._hearsay.pop(call_id, None)  # it has events of its own: it is ours
        if call is None and is_state:
            call = self._leg(event)
        if call is None:
            log.debug("event for no call of ours", extra={"event_type": event.event_type, "call_id": event.call_id})
            return
        if isinstance(event, ConnectEvent):
            self._peer(event)
        call.handle(event)
        if is_state:
            self.dials.leg(call)

    def _offered(self, event: RelayEvent) -> None:
        if not event.call_id or event.call_id in self.live:
            return
        call = Call(self, event)
        if self.handler is None:
            self._decline(call, "no handler is registered with @client.on_call")
        elif self.tasks.is_leaving:
            self._decline(call, "the client is leaving")
        elif len(self.live) - len(self._hearsay) >= self._max_active:
            self._decline(call, f"{self._max_active} calls are active (max_active_calls)")
        else:
            self.live[call.call_id] = call
            self.tasks.run(self.handler, call, what=HANDLER, call_id=call.call_id)

    def _decline(self, call: Call, why: str) -> None:
        log.warning("passing a call on: %s", why, extra={"call_id": call.call_id})
        self._send_off(call, Pass.method, {}, "passing a call on")

    def _leg(self, event: RelayEvent) -> Call | None:
        """A call we have not seen: a leg of a dial, or one made by another call's connect."""
        if event.params.get("call_state") == CallState.ENDED or not event.call_id:
            return None
        if not self.dials.is_ours(event.tag) and not event.params.get("parent"):
            return None
        call = self.live[event.call_id] = Call(self, event)
        if self.dials.is_abandoned(event.tag):
            self._end_orphan(call)
        return call

    def _winner(self, event: DialEvent) -> Call | None:
        """The answered leg, updated by what the dial event says of it."""
        if not event.call.get("call_id"):
            return None
        if not self.dials.is_ours(event.tag):
            return None
        nested = RelayEvent(STATE_EVENT, event.call, timestamp=event.timestamp)
        call = self.live.get(nested.call_id) or self.dials.past_leg(event.tag, nested.call_id)
        if call is None:
            call = self.live[nested.call_id] = Call(self, nested)
            if self.dials.is_abandoned(event.tag):
                self._end_orphan(call)
        else:
            call.learn(nested.params)
        return call

    def _peer(self, event: ConnectEvent) -> None:
        """Somebody answered a connect: their call is known too, if no event of it told us before.

        Unless one comes it is another client's, whose end nobody will tell us: it goes with the bridge.
        """
        peer_id = event.peer.get("call_id")
        self._forget_peers(event.call_id, besides=peer_id if event.connect_state == "connected" else None)
        if event.connect_state != "connected" or not isinstance(peer_id, str) or peer_id in self.live:
            return
        known = {"call_state": CallState.ANSWERED, "direction": Direction.OUTBOUND, **event.peer}
        known["peer"] = {"node_id": event.node_id, "call_id": event.call_id}
        self.live[peer_id] = Call(self, RelayEvent(STATE_EVENT, known, timestamp=event.timestamp))
        self._hearsay[peer_id] = event.call_id

    def _forget_peers(self, call_id: str, besides: object = None) -> None:
        """What the bridge of this call told of is not there any more."""
        for peer_id, teller in list(self._hearsay.items()):
            if teller == call_id and peer_id != besides:
                self.live[peer_id].close("gone")

    def find_call(self, call_id: str) -> Call | None:
        """The call with this id, if it is ours and lives."""
        return self.live.get(call_id)

    def call_over(self, call: CallBase) -> None:
        """The call is over, or released: forget it."""
        if self.live.get(call.call_id) is call:
            del self.live[call.call_id]
            self._hearsay.pop(call.call_id, None)
            self._forget_peers(call.call_id)
