"""What every call does, whatever its verbs: who it is, its events, and how commands reach the node."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from offhook.client.actions.action import Action
from offhook.client.actions.call_facts import CallFacts
from offhook.client.actions.running import RunningActions
from offhook.client.events import CallStateEvent, RelayEvent, made_here
from offhook.client.listening.call_events import CallEvents
from offhook.client.listening.call_waits import CallWaits
from offhook.client.listening.handlers import Handlers
from offhook.client.listening.tasks import Tasks
from offhook.errors import CallReleased, RelayError
from offhook.protocol.codes import ResultCode
from offhook.protocol.states import CallState
from offhook.protocol.verbs import spec_of
from offhook.protocol.verbs.connect import EVENT as CONNECT_EVENT
from offhook.protocol.verbs.end import End
from offhook.protocol.verbs.state import STATE_EVENT

if TYPE_CHECKING:
    from offhook.client.calls.call import Call

__all__ = ["CallBase", "ClientOfCall"]

log = logging.getLogger("offhook.client")

A = TypeVar("A", bound=Action)

_GONE: Final = frozenset({int(ResultCode.NOT_FOUND), int(ResultCode.GONE)})
_GONE_GRACE_S: Final = 3.0
"""How long ``ended`` may still be on its way after the node said that it does not know the call."""


class ClientOfCall(Protocol):
    """What a call needs of its client."""

    tasks: Tasks

    async def execute(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request; RelayError unless the result's code is 2xx."""
        ...

    def call_over(self, call: CallBase) -> None:
        """The call is over, or released: forget it."""
        ...

    def find_call(self, call_id: str) -> Call | None:
        """The call with this id, if it is ours and lives."""
        ...


class CallBase(CallFacts, CallEvents, CallWaits):
    """A live phone call."""

    call_id: str
    """Unique id of the call."""
    node_id: str
    """Node that handles it."""
    state: str
    """``created``, ``ringing``, ``answered``, ``ending`` or ``ended``."""
    direction: str
    """``inbound`` or ``outbound``."""
    tag: str
    """Correlates it with the dial or connect that made it."""
    device: dict[str, Any]
    """``type`` and ``params`` of the party's device."""
    segment_id: str
    """Segment of the call."""
    context: str
    """The context that it came in by."""
    project_id: str
    """Project of the number that was called."""
    peer: dict[str, Any]
    """``node_id`` and ``call_id`` of the call it is bridged to, empty when there is none."""
    parent: dict[str, Any]
    """``node_id``, ``call_id`` and ``device_type`` of the call that made it."""

    def __init__(self, client: ClientOfCall, event: RelayEvent) -> None:
        self.call_id = event.call_id
        CallEvents.__init__(self, Handlers(client.tasks, self.call_id))
        CallWaits.__init__(self)
        CallFacts.__init__(self, event)
        self._client = client
        self.tasks = client.tasks
        self._released = False
        self._running = RunningActions()
        self._is_lost = False
        self._gone_timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"Call(call_id={self.call_id!r}, direction={self.direction!r}, state={self.state!r})"

    @property
    def peer_call(self) -> Call | None:
        """The call that this one is bridged to; None when there is none, or another client has it."""
        peer_id = self.peer.get("call_id")
        return self._client.find_call(peer_id) if isinstance(peer_id, str) else None

    # --- events ---------------------------------------------------------------------------------------------

    def handle(self, event: RelayEvent) -> None:
        """Take an event of this call: its state, then the action it belongs to, then whoever waits and listens."""
        kind = event.event_type
        if isinstance(event, CallStateEvent):
            self.learn(event.params)
            self._states[self.state] = event
        elif kind == CONNECT_EVENT:
            self.learn_peer(event.params)
        if self._running.by_id:
            self._running.tell(event)
        if self._waits:
            for wait in [wait for wait in self._waits if wait.event_type == kind]:
                wait.offer(event, self.tasks, self.call_id)
        if isinstance(event, CallStateEvent) and self.state == CallState.ENDED:
            self._finish(event, "ended")
        if self._handlers.by_type:
            self._handlers.tell(event)

    def close(self, cause: str) -> None:
        """End what is open: ``closed`` with the client, ``gone``, ``released``."""
        self._handlers.run_all()
        self._finish(CallStateEvent(STATE_EVENT, {}, cause=cause), cause)

    def lose(self) -> None:
        """The session that heard the call is gone, and its events with it: end what is open, cause ``gone``.

        The call itself may live on at the server, so ``hangup`` is still sent.
        """
        self._is_lost = self._over is None
        self.close("gone")

    def _finish(self, event: CallStateEvent, cause: str) -> None:
        if self._over is not None:
            return
        self._over = event
        self._released = cause == "released"
        if self._gone_timer is not None:
            self._gone_timer.cancel()
        self._running.end_all(cause)
        for wait in self._waits:
            wait.settle(made_here(wait.event_type, cause))
        self._client.call_over(self)

    # --- commands -------------------------------------------------------------------------------------------

    async def command(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a command of this call and return the whole result; ``{}`` when the call is over.

        Raises:
            RelayError: refused, or no reply.
            CallReleased: the call was passed on.
        """
        result = await self._ask(method, params)
        return {} if result is None else result

    async def _ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """Send a command; None when the call or its action is over."""
        if self._released:
            raise CallReleased(method)
        if self._over is not None and not (self._is_lost and method == End.method):
            await self._let_others_run()
            return None
        try:
            return await self._client.execute(method, {"node_id": self.node_id, "call_id": self.call_id, **params})
        except RelayError as error:
            if error.code not in _GONE:
                raise
            gone = "call" if error.code == int(ResultCode.GONE) else _not_found(method)
            if gone == "method":
                raise
            log.info("the call or action is gone", extra={"call_id": self.call_id, "method": method})
            if gone == "call":
                self._expect_end()
            return None

    async def start(self, action: A, params: Mapping[str, Any]) -> A:
        """Start an operation. An action on a call that is gone comes back ended, with a cause.

        Raises:
            RelayError: refused, no reply, or (409) an action that runs on the call has its ``control_id``.
        """
        if self._over is not None and not self._released:
            action.end(made_here(action.event_type, self._over.cause or "ended"))
            await self._let_others_run()
            return action
        self._running.begin(action)
        try:
            result = await self._ask(action.method, params)
        except RelayError:
            if action.is_done:  # its events tell more than the reply that did not come
                return action
            self._running.forget(action)
            raise
        except BaseException:
            self._running.forget(action)
            raise
        action.accepted = result or {}
        self._check_gone(action, result)
        return action

    async def steer(self, action: Action, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a command of a running action. 404 and 410 mean that it is gone."""
        result = await self._ask(method, params)
        self._check_gone(action, result)
        return {} if result is None else result

    def _check_gone(self, action: Action, result: dict[str, Any] | None) -> None:
        """The node knows nothing of the action: nothing more comes from it."""
        if result is None and not action.is_over:
            self._running.forget(action)
            action.end(made_here(action.event_type, "gone"))

    def missed_events(self, running: Collection[str] | None) -> None:
        """Events of this call may be lost; ``running`` are the actions that the server knows, None: not the call.

        What it does not know ends, unless its own end comes soon.
        """
        if running is None:
            self._expect_end()
        elif actions := self._running.accepted_besides(running):
            asyncio.get_running_loop().call_later(_GONE_GRACE_S, self._running.end_gone, actions)

    def missed_all(self) -> None:
        """Events of this call may be lost, and nobody knows whether it lives: it is lost, unless its end comes soon."""
        self._expect_end(self.lose)

    def _expect_end(self, give_up: Callable[[], None] | None = None) -> None:
        """The node does not know the call: without its ``ended`` soon, end it here."""
        if self._gone_timer is None and self._over is None:
            loop = asyncio.get_running_loop()
            self._gone_timer = loop.call_later(_GONE_GRACE_S, give_up or functools.partial(self.close, "gone"))


def _not_found(method: str) -> str:
    """What a 404 to it says is not there; a command of an action names the action."""
    spec = spec_of(method)
    return "target" if spec is None else spec.not_found
