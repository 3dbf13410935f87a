"""Handlers of events: which are called at which, and in what order."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final, cast

from offhook.client.events import RelayEvent
from offhook.client.listening.tasks import Handler, Tasks

__all__ = ["Handlers"]


_NONE: Final = cast("dict[str, list[Handler[Any]]]", MappingProxyType({}))
"""Of every call to which nobody listens, and there may be thousands: it cannot be written to."""


class Handlers:
    """``by_type`` has them by the name of the event. They run in the order registered, event after event.

    An async one runs beside what comes after it: the next begins when it first waits for something. ``call_id`` is
    that of the call whose events these are, empty when there are several.
    """

    __slots__ = ("_call_id", "_due", "_runs_due", "_tasks", "by_type")

    def __init__(self, tasks: Tasks, call_id: str = "") -> None:
        self.by_type = _NONE
        self._due: deque[tuple[Handler[RelayEvent], RelayEvent]] | None = None
        """None as long as nobody listens."""
        self._runs_due: asyncio.Handle | None = None
        self._tasks = tasks
        self._call_id = call_id

    def __repr__(self) -> str:
        return f"Handlers({sorted(self.by_type)}, due={len(self._due or ())})"

    def add(self, event_type: str, handler: Handler[Any]) -> Callable[[], None]:
        """Call this one, too; the result removes it."""
        if self.by_type is _NONE:
            self.by_type = {}
        handlers = self.by_type.setdefault(event_type, [])
        handlers.append(handler)

        def remove() -> None:
            with contextlib.suppress(ValueError):
                handlers.remove(handler)

        return remove

    def tell(self, event: RelayEvent) -> None:
        """Have those of its type called."""
        if handlers := self.by_type.get(event.event_type):
            if self._due is None:
                self._due = deque()
            self._due.extend((handler, event) for handler in handlers)
        if self._due and self._runs_due is None:
            self._run()

    def run_all(self) -> None:
        """Have every handler begin that is due."""
        while self._runs_due is not None:
            self._runs_due.cancel()
            self._run()

    def _run(self) -> None:
        """Run them in order; after an async one, go on when it has begun."""
        self._runs_due = None
        while self._due:
            handler, event = self._due.popleft()
            call_id = self._call_id or event.call_id
            if self._tasks.call(handler, event, what=f"handler of {event.event_type}", call_id=call_id):
                self._runs_due = asyncio.get_running_loop().call_soon(self._run)
                return
