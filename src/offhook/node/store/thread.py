"""One thread that does one thing after another, for a loop that gives it small pieces of work."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from queue import SimpleQueue
from typing import Any

__all__ = ["WorkThread"]

_Task = tuple[Callable[[], Any], asyncio.AbstractEventLoop, asyncio.Future[Any]]


class WorkThread(Executor):
    """For ``run_in_executor`` alone: its futures are asyncio's own, which the loop takes as they are.

    A ThreadPoolExecutor makes a future of its own kind for each piece of work, with locks, which is then chained to
    one of asyncio's.
    """

    def __init__(self, name: str) -> None:
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See ``Executor``; called in the thread of the loop, without arguments."""
        if args or kwargs:
            raise TypeError("this thread takes work without arguments")
        if not self._thread.is_alive():
            self._thread.start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        self._queue.put((fn, loop, done))
        return done

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002  the Executor's
        """See ``Executor``; what was submitted is done first."""
        self._queue.put(None)
        if wait and self._thread.is_alive():
            self._thread.join()

    def _serve(self) -> None:
        while (task := self._queue.get()) is not None:
            work, loop, done = task
            result: Any = None
            failure: BaseException | None = None
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001  raised where the future is awaited
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, done, result, failure)


def _settle(done: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(result)
    else:
        done.set_exception(failure)
