"""Whether a part lives: a hang is known by its silence, as far as the silence is its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

__all__ = ["BEAT_S", "Silence", "cpu_wait_s", "waits_for_disk", "watch"]

_log = structlog.get_logger(__name__)

BEAT_S = 1.0
"""How often a part says that it lives."""

_LOOK_S = 0.5
_MOST_AT_ONCE_S = 2 * _LOOK_S
_FIRST_BEAT_S = 15.0
"""A process that starts reads its code first, perhaps from a slow disk."""


class Silence:
    """How long a part has been silent while it could have spoken. Times are given, in seconds of a monotonic clock.

    Not counted is what it waited for a CPU, and what passed between two looks beyond a second: then we were late
    ourselves (a machine that is busy, or was suspended), and what it said may still wait to be read. So the first look
    that is late does not judge either.
    """

    def __init__(self, limit_s: float, now: float, waited_s: float = 0.0) -> None:
        self._limit_s = limit_s
        self._looked_at = now
        self._waited_s = waited_s
        self._was_late = False
        self._has_spoken = False
        self.silent_s = 0.0
        """Counted so far."""

    def heard(self) -> None:
        """It said something."""
        self._has_spoken = True
        self.silent_s = 0.0

    def excuse(self, now: float, waited_s: float) -> None:
        """What passed since the last look does not count: it waits for a disk, and so would the next one."""
        self._looked_at, self._waited_s = now, waited_s

    def look(self, now: float, waited_s: float) -> bool:
        """Whether it has been silent for too long; ``waited_s``: what it has waited for a CPU in its life."""
        is_late = now - self._looked_at > _MOST_AT_ONCE_S
        is_first_late, self._was_late = is_late and not self._was_late, is_late
        passed = min(now - self._looked_at, _MOST_AT_ONCE_S)
        waited = waited_s - self._waited_s
        self._looked_at, self._waited_s = now, waited_s
        self.silent_s += max(0.0, passed - max(0.0, waited))
        limit_s = self._limit_s if self._has_spoken else max(self._limit_s, _FIRST_BEAT_S)
        return self.silent_s >= limit_s and not is_first_late


async def watch(name: str, pid: int, silence: Silence, end: Callable[[], Awaitable[None]]) -> None:
    """Look at a part until it was silent for too long; then ``end`` it and return."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_LOOK_S)
        now, waited_s = loop.time(), cpu_wait_s(pid)
        if waits_for_disk(pid):
            silence.excuse(now, waited_s)
        elif silence.look(now, waited_s):
            _log.error("a part hangs and is ended", part=name, silent_s=round(silence.silent_s, 1))
            await end()
            return


def waits_for_disk(pid: int) -> bool:
    """Whether the first thread of a process sleeps where no signal reaches it (proc(5), stat: state D)."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "D"
    return False


def cpu_wait_s(pid: int) -> float:
    """How long the first thread of a process was ready to run and did not (proc(5), schedstat); 0 if nobody knows."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0
