"""Who listens to all events that a client hears. ``app/typed_events.py`` has the types of what comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from offhook.client.listening.handlers import Handlers
from offhook.client.listening.tasks import Handler

__all__ = ["AllEvents"]


class AllEvents:
    """A client's own handlers of events, besides those of its calls."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    def on(self, event_type: str, handler: Handler[Any]) -> Callable[[], None]:
        """Have a handler called at each event of a type, with the type's class, whatever call it is of, if any.

        Only here come tasks (``queuing.relay.tasks``), what a conference as such tells (``calling.conference`` has a
        call only where it is about a participant), and what other applications say of calls that are theirs
        (``calling.user_event``). Events of calls come after the call's own handlers, those of messages after the
        message's. Handlers run as those of ``call.on`` do. The result removes the handler.

        Args:
            event_type: such as ``queuing.relay.tasks``; types that are not known here can be listened to as well.
            handler: sync or async, gets the event. Its failures are logged.
        """
        return self._handlers.add(event_type, handler)
