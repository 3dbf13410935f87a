"""Somebody waits for an event of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from offhook.client.events import RelayEvent
from offhook.client.listening.tasks import Tasks

__all__ = ["Wait"]


class Wait:
    """Somebody waits for an event."""

    def __init__(self, event_type: str, predicate: Callable[[RelayEvent], bool] | None) -> None:
        self.event_type = event_type
        self.future: asyncio.Future[RelayEvent] = asyncio.get_running_loop().create_future()
        self._predicate = predicate

    def offer(self, event: RelayEvent, tasks: Tasks, call_id: str) -> None:
        """Take the event if the predicate, which is the user's code, accepts it."""
        if self._predicate is None:
            self.settle(event)
        else:
            tasks.call(self._judge, event, what="predicate of wait_for", call_id=call_id)

    def _judge(self, event: RelayEvent) -> None:
        if self._predicate is not None and self._predicate(event):
            self.settle(event)

    def settle(self, event: RelayEvent) -> None:
        """End the wait; only the first time counts."""
        if not self.future.done():
            self.future.set_result(event)
