"""Ages of what is kept, by a clock that nobody sets."""

from __future__ import annotations

import asyncio
import time

import structlog

__all__ = ["SteadyTime"]

log = structlog.get_logger(__name__)
_STEP_S = 60.0


class SteadyTime:
    """Seconds since the epoch as the machine said at the first look, going on by the loop's clock ever since.

    For ages alone: what clients are told is dated by the machine's clock, wherever somebody sets it.
    """

    def __init__(self) -> None:
        self._ahead_s: float | None = None
        self._told_s = 0.0
        self.began_at = 0.0
        """The first look. What is dated before is of another process, which may have had another clock."""

    def now(self) -> float:
        """Never set on or back."""
        passed = asyncio.get_running_loop().time()
        if self._ahead_s is None:
            self.began_at = time.time()
            self._ahead_s = self.began_at - passed
        return passed + self._ahead_s

    def latest(self) -> float:
        """Or what the machine says by now, where that is later: for an expiry that the next process will judge, too."""
        return max(self.now(), time.time())

    def look(self) -> None:
        """Say so when the machine's clock was set by more than a minute."""
        ahead_s = time.time() - self.now()
        if abs(ahead_s - self._told_s) > _STEP_S:
            log.warning("the machine's clock was set: ages go on without it", by_s=round(ahead_s - self._told_s))
            self._told_s = ahead_s
