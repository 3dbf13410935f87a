"""Whether new calls are taken: a node that is late for seconds takes none, so that those it has go on.

Two figures are looked at: how late the loop of this process runs what is due (sampled ten times a second), and how many
ticks each media thread of the engine left out. Both are judged over seconds, and by what happens most of the time: a
pause, a suspended machine or other programs on the same CPUs are no overload.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from offhook.node.calls.settings import OverloadSettings
from offhook.node.engine.reports import Stats

__all__ = ["Load", "Overload"]

log = structlog.get_logger(__name__)

_SAMPLE_S = 0.1
_LATE_S = 5.0
_CALM_S = 1.0
_LEAVE_S = 2.0
_FEWEST = 5
"""So many samples are looked at, however long they took: one long pause is one sample."""
_TICKS_PER_S = 50
_REPORT_S = 5.0
_FORGOTTEN_S = 15.0
_SENTENCE = "This node is overloaded; try again in a few seconds"


class Load(enum.IntEnum):
    """What is done about it."""

    NORMAL = 0
    BUSY = 1
    """Half of what sheds: the health page says so, new calls are taken."""
    SHEDDING = 2
    """New calls are refused; those that are there, and what is asked of them, go on."""


class _Lag:
    """On when half of the samples of 5 s were over the limit, off when for 2 s most were under half of it."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._samples: deque[tuple[float, float]] = deque()
        self._since: float | None = None
        self.median_s = 0.0
        self.is_on = False

    def sample(self, lag_s: float, now: float) -> None:
        if self._since is None:
            self._since = now
        self._samples.append((now, lag_s))
        window_s = _CALM_S if self.is_on else _LATE_S
        while len(self._samples) > _FEWEST and self._samples[0][0] <= now - window_s:
            self._samples.popleft()
        self.median_s = sorted(lag_s for _, lag_s in self._samples)[len(self._samples) // 2]
        if self.is_on and self.median_s > self._limit_s / 2:
            self._since = now
        is_late = self.is_on or self.median_s > self._limit_s
        if is_late and now - self._since >= (_LEAVE_S if self.is_on else _LATE_S) and len(self._samples) >= _FEWEST:
            self.is_on = not self.is_on
            self._since = now
            self._samples.clear()


@dataclass
class _Thread:
    """One media thread, as its last report told of it."""

    skipped: int
    at: float
    has_skipped: bool = False
    """More than the limit, in the last report."""
    is_on: bool = False

    def heard(self, skipped: int, now: float, limit: float) -> None:
        """On at the second report in a row over the limit, off at one under half of it."""
        ticks = _TICKS_PER_S * max(_REPORT_S, now - self.at)
        share = max(0, skipped - self.skipped) / ticks
        self.is_on = share > limit / 2 if self.is_on else share > limit and self.has_skipped
        self.has_skipped = share > limit
        self.skipped, self.at = skipped, now


class Overload:
    """Told samples and statistics, says whether new calls are taken. Times are seconds of ``clock``."""

    def __init__(self, settings: OverloadSettings) -> None:
        self.clock: Callable[[], float] = time.monotonic
        self.load = Load.NORMAL
        self.refused = 0
        """New calls that were refused because of it."""
        self._shed_at = 0
        self._settings = settings
        self._busy = _Lag(settings.lag_ms / 2000)
        self._shedding = _Lag(settings.lag_ms / 1000)
        self._threads: dict[int, _Thread] = {}

    @property
    def refusal(self) -> str:
        """Why a new call is refused; empty: it is taken."""
        return _SENTENCE if self.load is Load.SHEDDING else ""

    def refuses(self) -> str:
        """The same, for a call that is refused now: it is counted."""
        self.refused += self.load is Load.SHEDDING
        return self.refusal

    async def watch(self) -> None:
        """Sample the loop's lateness, until cancelled."""
        while True:
            due = self.clock() + _SAMPLE_S
            await asyncio.sleep(_SAMPLE_S)
            now = self.clock()
            self.sample(max(0.0, now - due), now)

    def sample(self, lag_s: float, now: float) -> None:
        """So late was the loop."""
        self._busy.sample(lag_s, now)
        self._shedding.sample(lag_s, now)
        for name in [name for name, thread in self._threads.items() if thread.at <= now - _FORGOTTEN_S]:
            del self._threads[name]
        self._judge()

    def heard(self, report: Stats, now: float) -> None:
        """Statistics of one media thread."""
        thread = self._threads.get(report.thread)
        if thread is None or report.ticks_skipped < thread.skipped:  # never heard, or of an engine that is gone
            self._threads[report.thread] = _Thread(report.ticks_skipped, now)
        else:
            thread.heard(report.ticks_skipped, now, self._settings.skipped_ticks)
        self._judge()

    def _judge(self) -> None:
        skips = any(thread.is_on for thread in self._threads.values())
        load = Load.BUSY if self._busy.is_on else Load.NORMAL
        if self._shedding.is_on or skips:
            load = Load.SHEDDING
        was, self.load = self.load, load
        if (was is Load.SHEDDING) == (load is Load.SHEDDING):
            return
        if load is Load.SHEDDING:
            self._shed_at = self.refused
            cause = "the engine leaves ticks out" if skips else "the node is late"
            log.warning(
                "overload: new calls are refused",
                cause=cause,
                lag_ms=round(self._shedding.median_s * 1000),
                skips=skips,
            )
        else:
            log.warning("overload is over: new calls are taken again", refused=self.refused - self._shed_at)
