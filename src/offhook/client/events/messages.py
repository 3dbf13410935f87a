"""Events of messages and tasks."""

from __future__ import annotations

from offhook.client.events.base import Items, RelayEvent, Text, Whole
from offhook.protocol.messaging import RECEIVE_EVENT, STATE_EVENT

__all__ = ["MessageEvent", "MessageReceiveEvent", "MessageStateEvent", "TaskEvent"]


class MessageEvent(RelayEvent):
    """Something about a message. The context is in ``context``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(message_id={self.message_id!r}, message_state={self.message_state!r})"

    message_id = Text("message_id")
    """Its id."""
    direction = Text("direction")
    """``inbound`` or ``outbound``."""
    from_number = Text("from_number")
    """Who sent it, E.164."""
    to_number = Text("to_number")
    """Who gets it, E.164."""
    body = Text("body")
    """Its text."""
    media = Items("media")
    """URLs of its media."""
    segments = Whole("segments")
    """How many SMS it takes."""
    message_state = Text("message_state")
    """``received``; or ``queued``, ``initiated``, ``sent``, ``delivered``, ``undelivered``, ``failed``, ``read``."""
    reason = Text("reason")
    """Why it was not delivered."""


class MessageReceiveEvent(MessageEvent, of=RECEIVE_EVENT):
    """A message came in."""

    __slots__ = ()


class MessageStateEvent(MessageEvent, of=STATE_EVENT):
    """A message that was sent changed its state."""

    __slots__ = ()


class TaskEvent(RelayEvent, of="queuing.relay.tasks"):
    """A task, posted to the context: its body is in ``params``."""

    __slots__ = ()
