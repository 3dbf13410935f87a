"""An event loop whose clock jumps: an hour of call in a few milliseconds, always the same way."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

__all__ = ["Deadlock", "VirtualClockLoop"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Deadlock(Exception):
    """Nothing is left that could ever wake the loop: no timer, no thread, no ready socket."""


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """When idle, jumps to its next timer instead of waiting for it.

    Sockets work, but take no time; work given to ``run_in_executor`` is waited for on the wall clock, and the
    virtual clock stands still meanwhile. A thread of other origin that wakes the loop must announce itself with
    ``outside_work(1)`` before and ``outside_work(-1)`` after. Waiting for what can never come raises Deadlock
    after ``patience_s`` of wall time.
    """

    def __init__(self, *, start_s: float = 1000.0, patience_s: float = 2.0) -> None:
        self._now_s = start_s
        self._outside = 0
        self._patience_s = patience_s
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Virtual seconds since an arbitrary start."""
        return self._now_s

    def outside_work(self, change: int) -> None:
        """Count work that will wake the loop from outside: +1 when it begins, -1 when it ends."""
        self._outside += change

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """As ever, and the virtual clock waits for it."""
        self.outside_work(1)
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(lambda _: self.outside_work(-1))
        return future

    def jump(self, timeout_s: float | None) -> float:
        """What the selector may wait on the wall clock instead of ``timeout_s`` on ours."""
        if self._outside or timeout_s is None:
            return self._patience_s
        self._now_s += timeout_s
        return 0.0

    @property
    def is_waiting_outside(self) -> bool:
        """Work announced from outside is still under way."""
        return self._outside > 0


class _JumpingSelector(selectors.DefaultSelector):
    """Asks the loop how long to wait; ready sockets come before the jump."""

    def __init__(self, loop: VirtualClockLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        wait_s = self._loop.jump(timeout)
        if not wait_s:
            return ready
        ready = super().select(wait_s)
        if not ready and timeout is None and not self._loop.is_waiting_outside:
            raise Deadlock("nothing can wake the loop any more: no timer is set and no socket got ready")
        return ready
