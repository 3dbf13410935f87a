"""What was spent on the trunk is neither forgotten nor kept for ever, whatever restarts and clocks do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog

from offhook.node.state.housekeeping import MachineTime
from offhook.node.state.spending_book import SpendingBook
from offhook.node.web.private import read_private

pytestmark = pytest.mark.virtual_clock

HOUR_S, DAY_S, YEAR_S = 3600.0, 86400.0, 365 * 86400.0
T0 = 1_800_000_000.0


class Machine:
    """A machine whose clock can be set, and its node's starts."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "spending.json"
        self.boot = "boot-1"
        self.stepped_s = 0.0
        self.since_s = asyncio.get_running_loop().time() - 50.0
        self.off_s = 0.0

    def time(self) -> MachineTime:
        uptime_s = asyncio.get_running_loop().time() - self.since_s
        return MachineTime(T0 + asyncio.get_running_loop().time() + self.stepped_s + self.off_s, self.boot, uptime_s)

    def reboot(self, off_s: float) -> None:
        self.boot += "x"
        self.since_s = asyncio.get_running_loop().time()
        self.off_s += off_s

    def start(self) -> SpendingBook:
        return SpendingBook(self.file, self.time)


@pytest.fixture
async def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def now() -> float:
    return asyncio.get_running_loop().time()


async def spend(book: SpendingBook, calls: int, minutes: float = 0.0) -> None:
    for _ in range(calls):
        book.spending.placed(now())
    if minutes:
        book.spending.answered("call", now())
        await asyncio.sleep(60 * minutes)
        book.spending.over("call", now())


async def test_a_restart_forgets_nothing_and_makes_no_new_day(machine):
    await spend(book := machine.start(), 7, 12.5)
    book.close()
    await asyncio.sleep(23 * HOUR_S)
    book = machine.start()
    assert book.spending.calls(now()) == 7
    assert book.spending.minutes(now()) == pytest.approx(12.5)
    await asyncio.sleep(2.1 * HOUR_S)
    assert book.spending.calls(now()) == 0
    assert book.spending.minutes(now()) == 0


async def test_a_thousand_restarts_are_no_day_either(machine):
    for _ in range(1000):
        book = machine.start()
        await spend(book, 1)
        book.close()
        await asyncio.sleep(1)
    assert machine.start().spending.calls(now()) == 1000


async def test_what_is_counted_is_on_the_disk_a_moment_later_and_talk_each_minute(machine):
    """A node that is killed writes nothing any more."""
    book = machine.start()
    running = asyncio.create_task(book.run())
    await spend(book, 3)
    await asyncio.sleep(0.5)
    assert machine.start().spending.calls(now()) == 3
    book.spending.answered("call", now())
    await asyncio.sleep(600)
    assert 8.5 <= machine.start().spending.minutes(now()) <= 10
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_node_that_spends_nothing_writes_nothing(machine):
    running = asyncio.create_task(machine.start().run())
    await asyncio.sleep(DAY_S)
    assert read_private(machine.file) is None
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S, 2 * DAY_S, -2 * DAY_S, 20 * YEAR_S, -20 * YEAR_S])
@pytest.mark.parametrize("runs", [True, False])
async def test_a_clock_that_is_set_neither_opens_the_trunk_nor_keeps_it_closed(machine, step_s, runs):
    await spend(book := machine.start(), 7)
    book.close()
    machine.stepped_s = step_s
    book = book if runs else machine.start()
    assert book.spending.calls(now()) == 7
    await asyncio.sleep(25 * HOUR_S)
    assert book.spending.calls(now()) == 0
    book.close()
    assert machine.start().spending.calls(now()) == 0


async def test_a_machine_that_was_off_counts_the_time_by_its_clock(machine):
    await spend(book := machine.start(), 7)
    book.close()
    machine.reboot(12 * HOUR_S)
    book = machine.start()
    assert book.spending.calls(now()) == 7
    book.close()
    machine.reboot(14 * HOUR_S)
    assert machine.start().spending.calls(now()) == 0


async def test_a_machine_that_starts_in_1970_is_closed_for_a_day_at_most(machine):
    await spend(book := machine.start(), 7)
    book.close()
    machine.reboot(60)
    machine.stepped_s = -T0
    book = machine.start()
    assert book.spending.calls(now()) == 7
    await asyncio.sleep(25 * HOUR_S)
    assert book.spending.calls(now()) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"spent": 3}',
        b'{"spent":{"hours":[[-5,-1.0]],"into_s":-1e9},"seen":{"wall":0,"boot":"","uptime_s":0}}',
    ],
)
async def test_a_file_that_nobody_wrote_so_stops_no_node(machine, content):
    machine.file.write_bytes(content)
    machine.file.chmod(0o600)
    book = machine.start()
    assert book.spending.calls(now()) == 0
    await spend(book, 2)
    book.close()
    assert machine.start().spending.calls(now()) == 2


async def test_a_disk_that_takes_nothing_stops_no_call_and_is_told(machine):
    book = machine.start()
    machine.file.mkdir()
    with structlog.testing.capture_logs() as logs:
        await spend(book, 2)
        book.close()
    assert book.spending.calls(now()) == 2
    assert [line["log_level"] for line in logs] == ["error"]


async def test_what_a_disk_did_not_take_is_tried_again_after_growing_pauses(machine):
    """It was written with the next change only: a node that was killed before had spent nothing."""
    book = machine.start()
    machine.file.mkdir()
    running = asyncio.create_task(book.run())
    with structlog.testing.capture_logs() as logs:
        await spend(book, 2)
        await asyncio.sleep(600)
        told = len(logs)
        machine.file.rmdir()
        await asyncio.sleep(61)
    assert 10 <= told <= 20
    assert machine.start().spending.calls(now()) == 2
    assert len(logs) == told
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_call_that_is_not_placed_after_all_is_taken_from_the_hour_that_counted_it(machine):
    """It was taken from the hour that ran, which had none to give."""
    spending = machine.start().spending
    spending.placed(now())  # an hour begins
    await asyncio.sleep(HOUR_S - 1)
    placed_at = now()
    spending.placed(placed_at)
    await asyncio.sleep(2)
    spending.placed(now())
    spending.not_placed(now(), placed_at)
    assert [calls for calls, _ in spending.spent(now()).hours] == [1, 1]
    spending.not_placed(now(), now())
    assert [calls for calls, _ in spending.spent(now()).hours] == [0, 1]
    await asyncio.sleep(30 * HOUR_S)
    spending.not_placed(now(), placed_at)
    assert spending.calls(now()) == 0
