"""The task supervisor: owns what runs beside the session, and is the wall at which a handler's failure stops."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["Handler", "Tasks"]

log = logging.getLogger("offhook.client")

T = TypeVar("T")
Handler = Callable[[T], Awaitable[object] | object]
"""A handler, sync or async."""


class Tasks:
    """Runs handlers and coroutines; failures are logged with the call they belong to and counted."""

    def __init__(self) -> None:
        self.failures = 0
        self._running: dict[asyncio.Task[None], str] = {}

    def start(self, coroutine: Coroutine[Any, Any, object], *, what: str, call_id: str = "") -> asyncio.Task[None]:
        """Run a coroutine beside the rest."""
        return self._own(self._guard(coroutine, what, call_id), what, call_id)

    def run(
        self, handler: Callable[[T], Awaitable[object]], argument: T, *, what: str, call_id: str
    ) -> asyncio.Task[None]:
        """Run an async handler beside the rest."""
        return self._own(self._handle(handler, argument, what, call_id), what, call_id)

    def running(self, what: str) -> list[asyncio.Task[None]]:
        """Those of a kind that run."""
        return [task for task, kind in self._running.items() if kind == what]

    def _own(self, coroutine: Coroutine[Any, Any, None], what: str, call_id: str) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine, name=f"offhook: {what} {call_id}")
        self._running[task] = what
        task.add_done_callback(self._running.pop)
        return task

    def call(self, handler: Handler[T], argument: T, *, what: str, call_id: str = "") -> bool:
        """Call a handler: a sync one runs now, a coroutine starts in the order of the calls. True: it runs on."""
        try:
            outcome = handler(argument)
        except Exception:  # noqa: BLE001  the wall: a handler is the user's code
            self._failed(what, call_id)
            return False
        if outcome is None or not inspect.isawaitable(outcome):
            return False
        self.start(_finish(outcome), what=what, call_id=call_id)
        return True

    async def _guard(self, coroutine: Coroutine[Any, Any, object], what: str, call_id: str) -> None:
        try:
            await coroutine
        except Exception:  # noqa: BLE001  the wall: a handler is the user's code
            self._failed(what, call_id)

    async def _handle(self, handler: Callable[[T], Awaitable[object]], argument: T, what: str, call_id: str) -> None:
        try:
            await handler(argument)
        except Exception:  # noqa: BLE001  the wall: a handler is the user's code
            self._failed(what, call_id)

    def _failed(self, what: str, call_id: str) -> None:
        self.failures += 1
        log.exception("%s failed (call %s)", what, call_id or "-", extra={"what": what, "call_id": call_id})

    async def drain(self, timeout_s: float) -> None:
        """Let what runs finish, for so long."""
        others = self._others()
        if others:
            await asyncio.wait(others, timeout=timeout_s)

    async def close(self) -> None:
        """Cancel what runs and wait until it is gone."""
        others = self._others()
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)

    def _others(self) -> set[asyncio.Task[None]]:
        """All but the task that asks, which cannot wait for itself."""
        return self._running.keys() - {asyncio.current_task()}


async def _finish(outcome: Awaitable[object]) -> None:
    await outcome
