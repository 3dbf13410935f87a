"""What was spent on the trunk, on the disk: a restart does not make a new day of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from offhook.errors import OffhookError
from offhook.node.calls.spending import Spending, Spent
from offhook.node.state.housekeeping import MachineTime, machine_time, passed_s
from offhook.node.web.private import read_private, write_private

__all__ = ["SpendingBook"]

_log = structlog.get_logger(__name__)
_EVERY_S = 60.0
_PAUSE_S = 0.2
"""Between two writes: what is counted meanwhile goes with the next. One that failed is tried again, each time after
twice as long."""


class _Page(msgspec.Struct, frozen=True):
    spent: Spent
    seen: MachineTime


class SpendingBook:
    """One file. ``spending`` is what it said, aged by the time that passed since; ``run`` keeps what is added.

    While the machine is up, the time that passed is known, however its clock is set; over a restart of the machine its
    clock is believed, and never backwards. So no clock keeps the trunk closed for more than a day of running.
    """

    def __init__(self, file: Path, time_now: Callable[[], MachineTime] = machine_time) -> None:
        self._file = file
        self._time_now = time_now
        self._changed = asyncio.Event()
        self._writing = threading.Lock()
        self._made = self._written = 0
        """Pages: one that was made before another does not replace it."""
        self.spending = self._read()
        self.spending.on_change = self._changed.set

    async def run(self) -> None:
        """Write what changed at once, and each minute what is being talked; until cancelled."""
        pause_s = _PAUSE_S
        while True:
            try:
                async with asyncio.timeout(_EVERY_S):
                    await self._changed.wait()
            except TimeoutError:
                if not self.spending.is_running:
                    continue
            self._changed.clear()
            if await asyncio.to_thread(self._write, *self._page()):
                pause_s = _PAUSE_S
            else:
                pause_s = min(2 * pause_s, _EVERY_S)
                self._changed.set()
            await asyncio.sleep(pause_s)

    def close(self) -> None:
        """Write once more: nothing is lost by a node that is ended."""
        self._write(*self._page())

    def _page(self) -> tuple[int, _Page]:
        self._made += 1
        return self._made, _Page(self.spending.spent(asyncio.get_running_loop().time()), self._time_now())

    def _write(self, number: int, page: _Page) -> bool:
        """False: it could not be written."""
        with self._writing:
            if number < self._written:
                return True
            self._written = number
            try:
                write_private(self._file, msgspec.json.encode(page))
            except OffhookError as error:
                _log.error("what the trunk costs is counted in memory alone", reason=str(error))
                return False
            return True

    def _read(self) -> Spending:
        try:
            page = msgspec.json.decode(read_private(self._file) or b"null", type=_Page | None)
        except (OffhookError, msgspec.DecodeError) as error:
            _log.error(
                "what was spent on the trunk cannot be read: counted anew", file=str(self._file), reason=str(error)
            )
            page = None
        if page is None:
            return Spending(Spent())
        spending = Spending(page.spent)
        spending.age(passed_s(page.seen, self._time_now()))
        return spending
