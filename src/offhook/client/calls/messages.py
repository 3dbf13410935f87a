"""Messages: what was sent and how it went, and what comes in."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from offhook.client.events import MessageEvent, MessageReceiveEvent, MessageStateEvent
from offhook.client.listening.outcome import Outcome
from offhook.client.listening.tasks import Handler, Tasks
from offhook.protocol.messaging import FINAL_STATES, STATE_EVENT, SendMessage

__all__ = ["HANDLER", "Message", "MessageHandler", "Messages"]

MessageHandler = Callable[["Message"], Awaitable[object]]
Execute = Callable[[str, Mapping[str, Any]], Coroutine[Any, Any, dict[str, Any]]]

HANDLER: Final = "on_message handler"
"""What runs for each inbound message."""

_MAX_OPEN: Final = 10_000
"""Messages whose end is awaited; beyond, the oldest ends with cause ``gone``."""

_MAX_EARLY: Final = 1_000
"""States kept for messages whose id is not known yet."""


class Message:
    """A message, sent or received."""

    message_id: str
    """Its id."""
    context: str
    """The context that its events come by."""
    direction: str
    """``inbound`` or ``outbound``."""
    from_number: str
    """Who sent it, E.164."""
    to_number: str
    """Who gets it, E.164."""
    body: str
    """Its text."""
    media: list[str]
    """URLs of its media."""
    segments: int
    """How many SMS it takes; 0 while unknown."""
    state: str
    """``received``; or ``queued``, ``initiated``, ``sent``, ``delivered``, ``undelivered``, ``failed``."""
    reason: str
    """Why it was not delivered."""
    tags: list[str]
    """Your own, as they were given to ``send_message``."""

    def __init__(
        self, tasks: Tasks, params: Mapping[str, Any], on_completed: Handler[MessageStateEvent] | None
    ) -> None:
        self.message_id = ""
        self.context = ""
        self.direction = ""
        self.from_number = ""
        self.to_number = ""
        self.body = ""
        self.media = []
        self.segments = 0
        self.state = ""
        self.reason = ""
        self.tags = []
        self._tasks = tasks
        self._on_completed = on_completed
        self._handlers: list[Handler[MessageStateEvent]] = []
        self._end: Outcome[MessageStateEvent] = Outcome()
        self._learn(params)

    def __repr__(self) -> str:
        return f"Message(message_id={self.message_id!r}, direction={self.direction!r}, state={self.state!r})"

    @property
    def is_done(self) -> bool:
        """Nothing follows: delivered, undelivered, failed; or sent, for MMS, which have no receipt."""
        return self._end.event is not None

    @property
    def result(self) -> MessageStateEvent | None:
        """The last event, None until then. See ``RelayEvent.cause`` for endings of the client's own."""
        return self._end.event

    async def wait(self, timeout: float | None = None) -> MessageStateEvent:
        """Wait for the last event.

        Args:
            timeout: seconds, default as long as it takes.

        Raises:
            TimeoutError: after ``timeout`` seconds; the message goes on.
        """
        return await self._end.wait(timeout)

    def on(self, handler: Handler[MessageStateEvent]) -> Callable[[], None]:
        """Have a handler called at each state; the result removes it.

        Args:
            handler: sync or async, gets the event. Its failures are logged.
        """
        self._handlers.append(handler)

        def remove() -> None:
            with contextlib.suppress(ValueError):
                self._handlers.remove(handler)

        return remove

    def handle(self, event: MessageStateEvent) -> bool:
        """Take an event of this message; True when it was the last."""
        self._learn(event.params)
        if is_last := self.state in FINAL_STATES or (self.state == "sent" and bool(self.media)):
            self.end(event)
        for handler in list(self._handlers):
            self._tasks.call(handler, event, what="handler of a message", call_id=self.message_id)
        return is_last

    def end(self, event: MessageStateEvent) -> None:
        """Nothing follows; only the first time counts."""
        if self._end.settle(event) and self._on_completed is not None:
            self._tasks.call(self._on_completed, event, what="on_completed", call_id=self.message_id)

    def _learn(self, params: Mapping[str, Any]) -> None:
        for name in ("message_id", "context", "direction", "from_number", "to_number", "body", "reason"):
            value = params.get(name)
            if isinstance(value, str) and value:
                setattr(self, name, value)
        for name in ("media", "tags"):
            value = params.get(name)
            if isinstance(value, list) and value:
                setattr(self, name, value)
        state, segments = params.get("message_state"), params.get("segments")
        self.state = state if isinstance(state, str) else self.state
        self.segments = segments if isinstance(segments, int) else self.segments


class Messages:
    """The messages of a client."""

    def __init__(self, tasks: Tasks, execute: Execute) -> None:
        self.handler: MessageHandler | None = None
        self.own_context = "default"
        """That of the session, which gets the events of what it sends."""
        self._sending = 0
        self._tasks = tasks
        self._execute = execute
        self._open: OrderedDict[str, Message] = OrderedDict()
        self._early: list[MessageStateEvent] = []

    async def send(self, params: Mapping[str, Any], on_completed: Handler[MessageStateEvent] | None) -> Message:
        """Send a message.

        Raises:
            RelayError: the server refused it.
        """
        self._sending += 1
        try:
            result = await self._execute(SendMessage.method, params)
            return self._sent(params, str(result.get("message_id", "")), on_completed)
        finally:
            self._sending -= 1
            if not self._sending:  # no reply is on its way: what came early is for nobody
                self._early.clear()

    def _sent(
        self, params: Mapping[str, Any], message_id: str, on_completed: Handler[MessageStateEvent] | None
    ) -> Message:
        """The server took a message. States that came before its reply was read are handled now."""
        known = {**params, "message_id": message_id, "direction": "outbound", "message_state": "queued"}
        message = Message(self._tasks, known, on_completed)
        if (former := self._open.pop(message_id, None)) is not None:
            former.end(_made_here("gone"))  # the server gave its id away
        if not message_id:
            message.end(_made_here("gone"))  # nothing that comes can be told to be about it
            return message
        self._open[message_id] = message
        while len(self._open) > _MAX_OPEN:
            self._open.popitem(last=False)[1].end(_made_here("gone"))
        early = [event for event in self._early if event.message_id == message_id]
        for event in early:
            self._early.remove(event)
            self._state(event)
        return message

    def dispatch(self, event: MessageEvent) -> None:
        """Take an event of a message."""
        if isinstance(event, MessageReceiveEvent):
            if self.handler is not None:
                message = Message(self._tasks, {"context": event.context, **event.params}, None)
                self._tasks.run(self.handler, message, what=HANDLER, call_id=event.message_id)
        elif not isinstance(event, MessageStateEvent):
            return
        elif event.message_id in self._open:
            self._state(event)
        elif self._sending:
            self._early = [*self._early[-_MAX_EARLY + 1 :], event]

    def end(self, cause: str, contexts: frozenset[str] = frozenset()) -> None:
        """End the messages that are open, but for those whose events still come by these contexts."""
        for message in list(self._open.values()):
            if message.context not in contexts:
                del self._open[message.message_id]
                message.end(_made_here(cause))

    def _state(self, event: MessageStateEvent) -> None:
        message = self._open.get(event.message_id)
        if message is not None and message.handle(event):
            self._open.pop(event.message_id, None)


def _made_here(cause: str) -> MessageStateEvent:
    return MessageStateEvent(STATE_EVENT, {}, cause=cause)
