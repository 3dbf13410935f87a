"""An owner for tasks: each is awaited, and one that fails is logged and counted instead of taking the rest along."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

__all__ = ["WalledTasks"]

log = structlog.get_logger(__name__)


class WalledTasks:
    """A task group with a wall around each task. Leaving it waits for all of them."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self.failures = 0

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._group.__aexit__(kind, error, trace)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run ``work`` as a task of this group."""
        walled = self._walled(work, name)
        try:
            task = self._group.create_task(walled, name=name)
        except RuntimeError:  # the group is over
            walled.close()
            work.close()
            raise
        task.add_done_callback(lambda _: work.close())  # it may be cancelled before it began
        return task

    async def _walled(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except Exception:
            self.failures += 1
            log.exception("task failed", task=name)
