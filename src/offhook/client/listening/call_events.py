"""Who listens to the events of a call. ``calls/typed_events.py`` has the types of what comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from offhook.client.listening.handlers import Handlers
from offhook.client.listening.tasks import Handler

__all__ = ["CallEvents"]


class CallEvents:
    """A call's handlers."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    def on(self, event_type: str, handler: Handler[Any]) -> Callable[[], None]:
        """Have a handler called at each event of a type, with the type's class; the result removes it.

        Handlers run in the order registered, event after event. An async one runs beside what comes after it: the
        next begins when it first waits for something.

        Args:
            event_type: such as ``calling.call.play``; types that are not known here can be listened to as well.
            handler: sync or async, gets the event. Its failures are logged.
        """
        return self._handlers.add(event_type, handler)
