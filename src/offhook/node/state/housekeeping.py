"""What is looked after once an hour: old recordings, the certificate; and which clock may say what is old."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from offhook.errors import OffhookError
from offhook.node.web.private import read_private, write_private
from offhook.node.web.recordings import newest, remove_old

__all__ = ["Housekeeping", "MachineTime", "TrustedTime", "machine_time", "passed_s", "trusted"]

_log = structlog.get_logger(__name__)
_EVERY_S = 3600.0
_DAY_S = 86400.0
_STEP_S = 60.0
_BELIEVED_AFTER_S = 7 * _DAY_S


class MachineTime(msgspec.Struct, frozen=True):
    """What a machine says: its clock (Unix time), and how long it has been up, which nobody sets."""

    wall: float
    boot: str
    uptime_s: float


class TrustedTime(msgspec.Struct, frozen=True):
    """What was known at a run. ``now``: the time by which things are old; never later than the machine's clock."""

    now: float
    seen: MachineTime
    doubted_s: float = 0.0
    """How long the machine's clock has gone on evenly since it was set to later than ``now``."""


def machine_time() -> MachineTime:
    """As it is."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while the machine is suspended
    return MachineTime(time.time(), boot, time.clock_gettime(clock))


def passed_s(before: MachineTime, seen: MachineTime) -> float:
    """Seconds between two looks, whoever set the clock; between two boots as the clock says, none to a day."""
    if seen.boot == before.boot and seen.uptime_s >= before.uptime_s:
        return seen.uptime_s - before.uptime_s
    return min(max(seen.wall - before.wall, 0.0), _DAY_S)


def trusted(before: TrustedTime | None, seen: MachineTime, newest_file: float) -> TrustedTime:
    """What is old by now.

    The clock is followed while it goes with the time that passed, and when it is set back. Set on by more than a
    minute it is believed once it has gone on evenly for a week: a wrong clock would delete for good. Between two boots
    nobody knows how much time passed: a day at most. ``newest_file`` (Unix time, 0.0: there is
    none) stands in for a first run's ``before``.
    """
    if before is None:
        return TrustedTime(min(seen.wall, newest_file + _DAY_S) if newest_file else seen.wall, seen)
    passed = seen.wall - before.seen.wall
    elapsed = passed_s(before.seen, seen)
    now = before.now + elapsed
    if seen.wall - now <= _STEP_S:
        return TrustedTime(seen.wall, seen)
    doubted_s = before.doubted_s + elapsed if abs(passed - elapsed) <= _STEP_S else 0.0
    return TrustedTime(seen.wall, seen) if doubted_s >= _BELIEVED_AFTER_S else TrustedTime(now, seen, doubted_s)


class Housekeeping:
    """Removes recordings that were written more than ``retention_days`` ago (0: none)."""

    def __init__(
        self,
        recordings: Path,
        kept: Path,
        retention_days: float,
        renew: Callable[[], None],
        time_now: Callable[[], MachineTime] = machine_time,
    ) -> None:
        self._recordings = recordings
        self._kept = kept
        self._retention_s = retention_days * _DAY_S
        self._renew = renew
        self._time_now = time_now

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                self._renew()
                if self._retention_s:
                    await asyncio.to_thread(self.tidy)
            except (OSError, OffhookError) as error:
                _log.error("housekeeping failed", reason=str(error))
            await asyncio.sleep(_EVERY_S)

    def tidy(self) -> int:
        """Remove what is old; returns how many. What was known of time is on the disk before anything goes.

        Raises:
            OffhookError: it cannot be; nothing was removed.
        """
        before, seen = self._last_run(), self._time_now()
        known = trusted(before, seen, newest(self._recordings))
        if seen.wall - known.now > _STEP_S and (before is None or not known.doubted_s):
            _log.warning("the machine's clock is ahead of the time that passed", by_s=round(seen.wall - known.now))
        write_private(self._kept, msgspec.json.encode(known))
        return remove_old(self._recordings, older_than=known.now - self._retention_s)

    def _last_run(self) -> TrustedTime | None:
        try:
            return msgspec.json.decode(read_private(self._kept) or b"", type=TrustedTime)
        except msgspec.DecodeError:
            return None
