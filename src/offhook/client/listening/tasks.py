"""The task supervisor: owns what runs beside the session, and is the wall at which a handler's failure stops."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, TypeVar

from offhook.errors import ConnectionLost

__all__ = ["Handler", "Tasks", "named"]

log = logging.getLogger("offhook.client")

_NAME: Final = "offhook: "
_NAMED: Final = 5

T = TypeVar("T")
Handler = Callable[[T], Awaitable[object] | object]
"""A handler, sync or async."""


class Tasks:
    """Runs handlers and coroutines; failures are logged with the call they belong to and counted."""

    def __init__(self) -> None:
        self.failures = 0
        self.is_leaving = False
        """The client leaves: that something lost its connection is no failure."""
        self._running: dict[asyncio.Task[None], str] = {}

    def start(self, coroutine: Coroutine[Any, Any, object], *, what: str, call_id: str = "") -> asyncio.Task[None]:
        """Run a coroutine beside the rest."""
        return self._own(self._guard(coroutine, what, call_id), what, call_id)

    def run(
        self, handler: Callable[[T], Awaitable[object]], argument: T, *, what: str, call_id: str
    ) -> asyncio.Task[None]:
        """Run an async handler beside the rest."""
        return self._own(self._handle(handler, argument, what, call_id), what, call_id)

    def running(self, kinds: frozenset[str]) -> list[asyncio.Task[None]]:
        """Those of some kinds that run."""
        return [task for task, kind in self._running.items() if kind in kinds]

    def _own(self, coroutine: Coroutine[Any, Any, None], what: str, call_id: str) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine, name=f"{_NAME}{what} {call_id}")
        self._running[task] = what
        task.add_done_callback(self._running.pop)
        return task

    def call(self, handler: Handler[T], argument: T, *, what: str, call_id: str = "") -> bool:
        """Call a handler: a sync one runs now, a coroutine starts in the order of the calls. True: it runs on."""
        try:
            outcome = handler(argument)
        except Exception as error:  # noqa: BLE001  the wall: a handler is the user's code
            self._failed(error, what, call_id)
            return False
        if outcome is None or not inspect.isawaitable(outcome):
            return False
        self.start(_finish(outcome), what=what, call_id=call_id)
        return True

    async def _guard(self, coroutine: Coroutine[Any, Any, object], what: str, call_id: str) -> None:
        try:
            await coroutine
        except Exception as error:  # noqa: BLE001  the wall: a handler is the user's code
            self._failed(error, what, call_id)

    async def _handle(self, handler: Callable[[T], Awaitable[object]], argument: T, what: str, call_id: str) -> None:
        try:
            outcome = handler(argument)
            if outcome is None:  # or "NoneType can't be used in 'await' expression" would be all there is to read
                name = getattr(handler, "__qualname__", repr(handler))
                raise TypeError(f"the {what} {name} is no coroutine function: write `async def`")
            await outcome
        except Exception as error:  # noqa: BLE001  the wall: a handler is the user's code
            self._failed(error, what, call_id)

    def _failed(self, error: Exception, what: str, call_id: str) -> None:
        if isinstance(error, ConnectionLost):  # what a program does about it is its own; it has no bug there
            ended = "ended with the client" if self.is_leaving else "ended with the connection"
            log.warning("%s %s (call %s): %s", what, ended, call_id or "-", error)
            self.failures += not self.is_leaving
            return
        self.failures += 1
        log.exception("%s failed (call %s)", what, call_id or "-", extra={"what": what, "call_id": call_id})

    @property
    def is_asking(self) -> bool:
        """Who asks is one of ours."""
        return asyncio.current_task() in self._running

    async def drain(self, timeout_s: float, *, besides: frozenset[str] = frozenset()) -> None:
        """Let what runs finish, and what begins meanwhile, for so long; nobody waits for the kinds in ``besides``."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while awaited := {task for task in self._others() if self._running[task] not in besides}:
            left_s = until - loop.time()
            if left_s <= 0:
                return
            await asyncio.wait(awaited, timeout=left_s)

    async def close(self) -> list[asyncio.Task[None]]:
        """Cancel what runs, wait until it is gone, and say what it was."""
        cancelled: list[asyncio.Task[None]] = []
        while others := self._others():
            await asyncio.sleep(0)  # a coroutine that has not begun would warn that nobody awaited it
            for task in others:
                task.cancel()
            cancelled += others
            await asyncio.wait(others)
        return cancelled

    def _others(self) -> set[asyncio.Task[None]]:
        """All but the task that asks, which cannot wait for itself."""
        return self._running.keys() - {asyncio.current_task()}


def named(tasks: Iterable[asyncio.Task[None]]) -> str:
    """What some tasks do, and for which calls."""
    names = sorted(task.get_name().removeprefix(_NAME).strip() for task in tasks)
    return ", ".join(names[:_NAMED] + ["..."] * (len(names) > _NAMED))


async def _finish(outcome: Awaitable[object]) -> None:
    await outcome
