"""When a node refuses new calls, so that those it has go on. The figures are given, no load is made."""

from __future__ import annotations

import asyncio
import itertools

import pytest
import structlog

from bench import Bench, open_bench
from offhook.node.calls.overload import Load, Overload
from offhook.node.calls.settings import OverloadSettings
from offhook.node.engine import ops
from offhook.node.engine.reports import LegStats, Stats

pytestmark = pytest.mark.virtual_clock

SAMPLE_S = 0.1


class Machine:
    """What a node's loop does, sample by sample."""

    def __init__(self, **settings: float) -> None:
        self.overload = Overload(OverloadSettings(**settings))
        self.now = 1000.0

    def runs(self, seconds: float, *lags_s: float) -> list[Load]:
        """So long, with these lags again and again; how loaded it was told to be."""
        found = []
        lags, until = itertools.cycle(lags_s), self.now + seconds
        while self.now < until:
            lag_s = next(lags)
            self.now += SAMPLE_S + lag_s
            self.overload.sample(lag_s, self.now)
            found.append(self.overload.load)
        return found


def stats(skipped: int, *, thread: int = 0, late: int = 0) -> Stats:
    return Stats(legs=[LegStats("L")], thread=thread, ticks_late=late, ticks_skipped=skipped)


def test_a_loop_that_is_in_time_takes_calls():
    assert set(Machine().runs(60, 0.0, 0.002)) == {Load.NORMAL}


def test_a_loop_beside_endless_loops_takes_calls():
    """Measured on two CPUs with seven others that wanted them: half of the lags 6 ms, one in twenty 55, at most 220."""
    assert set(Machine().runs(300, *[0.006] * 9, 0.02, *[0.01] * 9, 0.055, 0.22)) == {Load.NORMAL}


def test_a_loop_that_is_late_for_seconds_sheds_until_it_was_in_time_for_two():
    machine = Machine()
    machine.runs(10, 0.0)
    found = machine.runs(10, 0.4)
    assert found[0] is Load.NORMAL
    assert found[-1] is Load.SHEDDING
    first = found.index(Load.SHEDDING) * (SAMPLE_S + 0.4)
    assert 2 <= first <= 6
    found = machine.runs(10, 0.01)
    assert found[int(1.5 / SAMPLE_S)] is Load.SHEDDING
    assert found[int(3.0 / SAMPLE_S)] is Load.NORMAL


def test_a_loop_at_the_limit_does_not_flap():
    machine = Machine()
    machine.runs(10, 0.4)
    found = machine.runs(120, 0.2)
    assert set(found) == {Load.SHEDDING}  # under the limit, but not much


@pytest.mark.parametrize("pause_s", [0.5, 3.0, 30.0, 3600.0])
def test_one_long_pause_sheds_nobody(pause_s):
    """A machine that was suspended, a disk that was slow once."""
    machine = Machine()
    machine.runs(10, 0.001)
    assert set(machine.runs(pause_s, pause_s) + machine.runs(30, 0.001)) == {Load.NORMAL}


def test_a_loop_that_turns_once_in_three_seconds_sheds():
    machine = Machine()
    machine.runs(10, 0.001)
    assert machine.runs(20, 3.0)[-1] is Load.SHEDDING


def test_a_node_that_just_began_sheds_nobody():
    assert set(Machine().runs(4, 0.3)) == {Load.NORMAL}


def test_half_of_the_limit_is_busy_so_that_others_are_asked_first_and_still_takes_calls():
    machine = Machine()
    assert machine.runs(20, 0.2)[-1] is Load.BUSY
    assert not machine.overload.refusal
    assert machine.runs(20, 0.01)[-1] is Load.NORMAL


def test_the_limit_is_a_setting():
    assert Machine(lag_ms=1000).runs(30, 0.4)[-1] is Load.NORMAL
    assert Machine(lag_ms=30).runs(30, 0.05)[-1] is Load.SHEDDING


# --- the engine's ticks -----------------------------------------------------------------------------------------


def engine_says(overload: Overload, skipped: list[int]) -> list[Load]:
    """A report each 5 s with the ticks that were left out in them."""
    found, total, now = [], 0, 1000.0
    for more in skipped:
        total, now = total + more, now + 5.0
        overload.heard(stats(total), now)
        overload.sample(0.0, now)
        found.append(overload.load)
    return found


def test_a_media_thread_that_leaves_ticks_out_for_ten_seconds_sheds_until_it_left_out_few_in_one_report():
    found = engine_says(Overload(OverloadSettings()), [0, 0, 100, 100, 100, 20, 5, 0])
    assert [load is Load.SHEDDING for load in found] == [False, False, False, True, True, True, False, False]


def test_late_ticks_are_made_up_for_and_shed_nobody():
    """Beside endless loops half of them are more than 5 ms late, and nobody hears it."""
    overload = Overload(OverloadSettings())
    for turn in range(20):
        overload.heard(stats(0, late=turn * 200), 1000.0 + 5 * turn)
    assert overload.load is Load.NORMAL


def test_a_hiccup_of_a_media_thread_sheds_nobody():
    assert set(engine_says(Overload(OverloadSettings()), [0, 60, 0, 10, 8, 12, 0, 100, 0])) == {Load.NORMAL}


def test_each_thread_is_looked_at_by_itself():
    overload = Overload(OverloadSettings())
    for turn in range(3):
        overload.heard(stats(90 * turn, thread=1), 1000.0 + 5 * turn)
        overload.heard(stats(70_000, thread=0), 1001.0 + 5 * turn)  # of long ago: it has come to rest
    assert overload.load is Load.SHEDDING


def test_an_engine_that_was_restarted_begins_anew():
    overload = Overload(OverloadSettings())
    assert set(engine_says(overload, [0, 0])) == {Load.NORMAL}
    for turn, total in enumerate((5000, 0, 0, 0)):
        overload.heard(stats(total), 2000.0 + 5 * turn)
    assert overload.load is Load.NORMAL


def test_a_thread_of_which_nothing_is_heard_any_more_holds_up_nobody():
    """Its calls are over, or the engine is."""
    overload = Overload(OverloadSettings())
    assert engine_says(overload, [100] * 5)[-1] is Load.SHEDDING
    overload.sample(0.0, 1100.0)
    assert overload.load is Load.NORMAL
    assert not overload._threads


# --- what it means for calls --------------------------------------------------------------------------------------


def overloaded(bench: Bench, lag_s: float = 1.0, samples: int = 20) -> None:
    at = bench.exchange.overload.clock()
    for number in range(samples):
        bench.exchange.overload.sample(lag_s, at + number * (SAMPLE_S + lag_s))


async def test_a_new_caller_gets_503_with_a_sentence_and_calls_that_are_there_go_on(bench):
    call = await bench.talk()
    overloaded(bench)
    leg = bench.engine.ring_in()
    await asyncio.sleep(1)
    [refusal] = bench.engine.sent(ops.LegHangup)
    assert (refusal.leg, refusal.status) == (leg, 503)
    assert "overloaded" in refusal.reason
    assert bench.exchange.overload.refused == 1
    assert len(bench.exchange.calls) == 1
    await bench.run("calling.play", call, control_id="p", play=[{"type": "silence", "params": {"duration": 1}}])
    await asyncio.sleep(2)
    assert bench.told("p") == ["play playing", "play finished"]
    await bench.run("calling.end", call)
    await bench.ended(call)


async def test_the_log_says_when_calls_are_refused_and_taken_again_with_their_number(bench):
    with structlog.testing.capture_logs() as logs:
        overloaded(bench)
        for _ in range(3):
            bench.engine.ring_in()
        overloaded(bench, lag_s=0.0, samples=100)
    told = [line for line in logs if "overload" in line["event"]]
    assert [line["log_level"] for line in told] == ["warning", "warning"]
    assert "lag_ms" in told[0]
    assert told[1]["refused"] == 3


async def test_the_loop_is_watched_by_its_own_lateness(tmp_path):
    """By a clock that is given: each sleep took 0.4 s longer than it was to."""
    async with open_bench(tmp_path) as bench:
        overload = bench.exchange.overload
        times = itertools.count(1000.0, 0.25)  # read before and after each sleep of 0.1 s
        overload.clock = lambda: next(times) * 2
        watching = asyncio.create_task(overload.watch())
        await asyncio.sleep(3)
        assert overload.load is Load.SHEDDING
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
