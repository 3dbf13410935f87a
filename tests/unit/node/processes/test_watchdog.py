"""What counts as silence of a watched part. Virtual time."""

from __future__ import annotations

import asyncio
import os

import pytest

from offhook.node.processes.watchdog import Silence, cpu_wait_s, waits_for_disk, watch


def looks(silence: Silence, begin: float, end: float, *, step_s: float = 0.5, waits: float = 0.0) -> float | None:
    """Look every ``step_s``; when it was too long, if it was. ``waits``: the share of a CPU that it waits for."""
    now = begin
    while now < end:
        now += step_s
        if silence.look(now, waits * now):
            return now
    return None


def test_a_part_that_spoke_and_is_silent_for_the_limit_hangs() -> None:
    silence = Silence(5.0, 100.0)
    silence.heard()
    assert looks(silence, 100.0, 104.5) is None
    silence.heard()
    assert looks(silence, 104.5, 120.0) == 109.5


def test_a_part_that_has_not_spoken_yet_has_time_to_read_its_code() -> None:
    silence = Silence(5.0, 0.0)
    assert looks(silence, 0.0, 60.0) == 15.0


def test_a_watcher_that_was_late_itself_ends_nobody() -> None:
    """A machine that was suspended, or a supervisor that was stopped: what the part said waits to be read."""
    silence = Silence(5.0, 0.0)
    silence.heard()
    assert not silence.look(3600.0, 0.0)
    assert silence.silent_s == 1.0
    silence.heard()
    for hour in range(2, 6):
        assert not silence.look(hour * 3600.0, 0.0)


def test_a_look_that_comes_late_counts_and_does_not_judge() -> None:
    """A supervisor that was stopped just before the next beat ended an engine that had beaten all the while."""
    silence = Silence(2.0, 0.0)
    silence.heard()
    assert looks(silence, 0.0, 1.0) is None
    assert not silence.look(4.5, 0.0), "its beats wait to be read"
    silence.heard()
    assert looks(silence, 4.5, 6.0) is None


def test_a_watcher_that_is_always_late_finds_a_hang_all_the_same() -> None:
    silence = Silence(2.0, 0.0)
    silence.heard()
    assert looks(silence, 0.0, 20.0, step_s=3.0) == 6.0


def test_a_part_that_waits_for_a_cpu_is_not_silent() -> None:
    silence = Silence(5.0, 0.0)
    silence.heard()
    assert looks(silence, 0.0, 60.0, waits=1.0) is None
    silence = Silence(5.0, 0.0)
    silence.heard()
    assert looks(silence, 0.0, 60.0, waits=0.5) == 10.0


def test_a_clock_of_waits_that_goes_back_shortens_no_patience() -> None:
    silence = Silence(5.0, 0.0, waited_s=50.0)
    silence.heard()
    assert not silence.look(0.5, 0.0)
    assert silence.silent_s == 0.5


def test_a_part_that_waits_for_a_disk_is_not_ended_for_another_one_that_would_wait_too() -> None:
    silence = Silence(5.0, 0.0)
    silence.heard()
    assert looks(silence, 0.0, 4.0) is None
    for second in range(5, 600):
        silence.excuse(float(second), 0.0)
    assert silence.silent_s == 4.0
    assert looks(silence, 599.0, 620.0) == 600.0
    assert not waits_for_disk(os.getpid())
    assert not waits_for_disk(1 << 30)


def test_what_a_process_waited_for_a_cpu_is_known_and_of_no_process_nothing() -> None:
    assert cpu_wait_s(os.getpid()) > 0.0  # nobody gets a CPU each time without a wait of nanoseconds
    assert cpu_wait_s(1 << 30) == 0.0


@pytest.mark.virtual_clock
async def test_a_part_that_speaks_each_second_is_left_alone_and_ended_once_it_stops() -> None:
    loop = asyncio.get_running_loop()
    silence = Silence(5.0, loop.time())
    ended = asyncio.Event()

    async def end() -> None:
        ended.set()

    watching = asyncio.create_task(watch("node", 1 << 30, silence, end))
    for _ in range(600):
        await asyncio.sleep(1)
        silence.heard()
    assert not ended.is_set()
    began = loop.time()
    await watching
    assert ended.is_set()
    assert 4.5 <= loop.time() - began <= 6.0
