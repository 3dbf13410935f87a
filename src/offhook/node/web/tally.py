"""Counts what strangers cause, for one line of the log now and then: a peer cannot fill a disk with our words."""

from __future__ import annotations

import asyncio
from collections import Counter

import structlog

__all__ = ["Tally"]

_log = structlog.get_logger(__name__)
_INTERVAL_S = 10.0


class Tally:
    """The first of a kind is told at once, what follows in one line each 10 s."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._told: set[str] = set()

    def count(self, what: str) -> bool:
        """Count one; True for the first in a while. ``what`` is a constant of ours, never a peer's words."""
        is_first = what not in self._told
        if is_first:
            self._told.add(what)
            _log.warning(what, times=1)
        else:
            self._counts[what] += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL_S, self._tell)
        return is_first

    def _tell(self) -> None:
        self._timer = None
        counts, self._counts = self._counts, Counter()
        self._told = set(counts)
        for what, times in counts.items():
            _log.warning(what, times=times)
        if counts:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL_S, self._tell)

    def close(self) -> None:
        """Tell what was not told."""
        if self._timer is not None:
            self._timer.cancel()
            self._tell_last()

    def _tell_last(self) -> None:
        for what, times in self._counts.items():
            _log.warning(what, times=times)
        self._counts.clear()
