"""An end that many may wait for: none of them can spoil it for the others."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from offhook.client.events import RelayEvent

__all__ = ["Outcome"]

E = TypeVar("E", bound=RelayEvent)


class Outcome(Generic[E]):
    """``event`` is the last event, None until it came."""

    __slots__ = ("_waiters", "event")

    def __init__(self) -> None:
        self.event: E | None = None
        self._waiters: list[asyncio.Future[E]] = []

    def __repr__(self) -> str:
        return f"Outcome(event={self.event!r}, waiters={len(self._waiters)})"

    def settle(self, event: E) -> bool:
        """It is over; only the first time counts: True."""
        if self.event is not None:
            return False
        self.event = event
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(event)
        return True

    async def wait(self, timeout: float | None) -> E:
        """Wait for it.

        Raises:
            TimeoutError: after ``timeout`` seconds.
        """
        if self.event is not None:
            return self.event
        waiter: asyncio.Future[E] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            if timeout is None:
                return await waiter
            async with asyncio.timeout(timeout):
                return await waiter
        finally:
            self._waiters.remove(waiter)
