"""How long the threads of a process waited for a CPU: what of a delay is the machine's, not the program's."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

__all__ = ["CpuWaits", "Stopwatch", "waited_s"]

SAMPLE_S = 0.2


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
    """Time without what these processes waited for a CPU meanwhile (our own threads count too)."""

    def __init__(self, *pids: int) -> None:
        self._waits = [CpuWaits(pid) for pid in (*pids, os.getpid())]

    def start(self) -> float:
        """Look at all of them; what time it is."""
        for waits in self._waits:
            waits.sample(0)
        return time.time()

    def took(self, begin: float, end: float) -> float:
        """Seconds from ``start`` to another moment."""
        return max(0.0, end - begin - sum(waits.between(begin, end) for waits in self._waits))
