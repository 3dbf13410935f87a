"""The gateway's tasks: owned, awaited at the end; one that fails is logged and counted, and takes nobody along."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

__all__ = ["Tasks"]

log = structlog.get_logger(__name__)


class Tasks:
    """A set of tasks with a wall around each."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self.failures = 0

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run ``work`` until it ends or ``close`` cancels it."""
        task = asyncio.get_running_loop().create_task(self._walled(work, name), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda _: work.close())  # one that was cancelled before it began
        return task

    async def close(self) -> None:
        """Cancel what still runs and wait for its end."""
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running)

    async def _walled(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except Exception:  # the wall of the task supervisor
            self.failures += 1
            log.exception("task failed", task=name)
