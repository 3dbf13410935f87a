"""How long the threads of a process waited for a CPU: what of a delay is the machine's, not the program's."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

__all__ = ["CpuWaits", "Look", "Stopwatch", "excused_s", "waited_s"]

SAMPLE_S = 0.2
LOOK_S = 0.05
LONGEST_S = 120.0
MOST_EXCUSED_S = 3.0
"""Of one time that is judged. A machine that owes a program more than this cannot judge it."""


def waited_s(pid: int, threads: str = "") -> dict[int, float]:
    """For each thread whose name begins so: how long it was ready to run and did not (proc(5), schedstat).

    Empty where the kernel does not say; then nothing is excused.
    """
    found = {}
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if (task / "comm").read_text().startswith(threads):
                found[int(task.name)] = int((task / "schedstat").read_text().split()[1]) / 1e9
    return found


class CpuWaits:
    """The waits of one process, sampled; times are seconds since the epoch."""

    def __init__(self, pid: int, threads: str = "") -> None:
        self.pid, self.threads = pid, threads
        self._samples = [(time.time(), waited_s(pid, threads))]

    def sample(self, every_s: float = SAMPLE_S) -> None:
        """Look again, if the last look was so long ago."""
        if time.time() - self._samples[-1][0] >= every_s:
            self._samples.append((time.time(), waited_s(self.pid, self.threads)))

    def between(self, begin: float, end: float) -> float:
        """The most that one thread waited in a span of time, or a little before and after it."""
        if self._samples[-1][0] < end:
            self.sample(0)
        before = next((waits for at, waits in reversed(self._samples) if at <= begin), self._samples[0][1])
        after = next((waits for at, waits in self._samples if at >= end), self._samples[-1][1])
        return max((waited - before.get(thread, 0.0) for thread, waited in after.items()), default=0.0)


class Stopwatch:
    """Time without what these processes waited for a CPU meanwhile (our own threads count too).

    Of each process the thread that waited most counts; while several wait at once, time passes once. However slow the
    machine is, no more than ``MOST_EXCUSED_S`` is excused: what is later than that was not kept waiting by the machine.
    """

    def __init__(self, *pids: int) -> None:
        self._pids = (*pids, os.getpid())
        self._looks: list[Look] = []
        self._over = threading.Event()
        self._looking: threading.Thread | None = None

    def start(self) -> float:
        """Look at all of them from now on, until ``took``; what time it is."""
        self._stop()
        self._looks = [self._look()]
        self._over.clear()
        self._looking = threading.Thread(target=self._look_on, name="stopwatch", daemon=True)
        self._looking.start()
        return self._looks[0].at

    def took(self, begin: float, end: float) -> float:
        """Seconds from one moment after ``start`` to another."""
        self._stop()
        self._looks.append(self._look())
        return end - begin - min(MOST_EXCUSED_S, excused_s(self._looks, begin, end))

    def _stop(self) -> None:
        self._over.set()
        if self._looking is not None:
            self._looking.join()
            self._looking = None

    def _look(self, without: int = 0) -> Look:
        waits = [waited_s(pid) for pid in self._pids]
        waits[-1].pop(without, None)
        return Look(time.time(), waits)

    def _look_on(self) -> None:
        until = time.monotonic() + LONGEST_S  # a test that failed asks for no time
        while not self._over.wait(LOOK_S) and time.monotonic() < until:
            self._looks.append(self._look(threading.get_native_id()))  # this thread keeps nobody waiting


class Look(NamedTuple):
    """What each process waited so far, thread by thread."""

    at: float
    waits: list[dict[int, float]]


def excused_s(looks: Sequence[Look], begin: float, end: float) -> float:
    """For how much of a span of time the thread that waited most of one process or another waited.

    The kernel counts a wait when it is over: what came to be known at a look lay right before it.
    """
    spans = []
    for process in range(len(looks[0].waits)):
        first, last = looks[0].waits[process], looks[-1].waits[process]
        thread = max(last, key=lambda thread: last[thread] - first.get(thread, 0.0), default=0)
        for one, other in pairwise(looks):
            waited = other.waits[process].get(thread, 0.0) - one.waits[process].get(thread, 0.0)
            spans.append((max(begin, other.at - waited), min(end, other.at)))
    total, until = 0.0, begin
    for since, to in sorted(spans):
        total += max(0.0, to - max(since, until))
        until = max(until, to)
    return total
