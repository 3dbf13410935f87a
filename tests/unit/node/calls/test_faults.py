"""A report that cannot be handled, an engine that is slow, a dial that fails: they end their call and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from bench import SETTINGS, Bench
from offhook.errors import EngineLost
from offhook.node.calls import adoption
from offhook.node.engine import ops, reports
from offhook.testing.engine import Peer
from offhook.testing.ports import FakeOfferDesk
from rig.whole import Wire

pytestmark = pytest.mark.virtual_clock

DEVICES = [[{"type": "sip", "params": {"to": "sip:bob@127.0.0.1"}}]]


def break_next(target: object, name: str) -> None:
    """The next call of this method fails as no adapter should; later ones work."""
    method = getattr(target, name)

    def fail(*_: object, **__: object) -> None:
        setattr(target, name, method)
        raise RuntimeError("scripted")

    setattr(target, name, fail)


async def test_a_report_that_cannot_be_handled_ends_its_call_and_is_acked(bench):
    """It came again with each attach, and ended the node each time."""
    call, other = await bench.talk(), await bench.talk()
    with call.leg.hear_digits(lambda _: 1 / 0):
        bench.engine.press(call.leg.id, "1")
        ended = await bench.ended(call)
    assert (ended["end_reason"], ended["end_detail"]) == ("error", "report_failed")
    assert bench.exchange.failures == 1
    bench.engine.press(other.leg.id, "2")
    await asyncio.sleep(1)
    assert bench.engine.kept == [], "all is acked"
    assert [call.call_id for call in bench.exchange.calls] == [other.call_id]
    assert list(bench.engine._legs) == [other.leg.id]


async def test_a_call_that_cannot_be_offered_is_refused_on_sip(bench):
    break_next(bench.desk, "offer")
    leg = bench.engine.ring_in()
    await asyncio.sleep(1)
    [hangup] = bench.engine.sent(ops.LegHangup)
    assert (hangup.leg, hangup.status) == (leg, 500)
    assert len(bench.exchange.calls) == 0
    later = bench.ring()
    assert bench.desk.offers == [later]


async def test_a_call_whose_making_fails_is_refused_on_sip(bench, monkeypatch):
    monkeypatch.setattr("offhook.node.calls.inbound.sip_data", lambda **_: 1 / 0)
    leg = bench.engine.ring_in()
    await asyncio.sleep(1)
    [hangup] = bench.engine.sent(ops.LegHangup)
    assert (hangup.leg, hangup.status) == (leg, 500)
    assert "log" in hangup.reason
    assert list(bench.engine._legs) == []


async def test_the_end_of_a_leg_that_cannot_be_handled_ends_the_call_all_the_same(bench):
    call = await bench.talk()
    break_next(call, "over")
    bench.engine.hang_up(call.leg.id)
    ended = await bench.ended(call)
    assert ended["end_detail"] == "report_failed"
    assert len(bench.exchange.calls) == 0


async def test_a_call_that_fails_in_itself_leaves_no_leg_behind(bench):
    call = await bench.talk()
    break_next(call, "state_params")
    await bench.run("calling.end", call)
    await asyncio.sleep(1)
    assert len(bench.exchange.calls) == 0
    assert list(bench.engine._legs) == []
    assert bench.desk.forgotten == [call.call_id]
    assert bench.states(call)[-1] == "ended", "its client is told"


async def test_one_leg_that_cannot_be_adopted_is_hung_up_and_the_others_go_on(tmp_path, monkeypatch):
    bench = Bench(tmp_path, SETTINGS)
    bench.exchange, bench.registry = bench.build(SETTINGS, Wire(bench.engine))
    old = bench.exchange
    await old.__aenter__()
    await old.attach()
    bad, good = await bench.talk(), await bench.talk()
    old.engine.is_cut = True
    await bench.engine.close()
    bench.desk = FakeOfferDesk()
    bench.exchange, bench.registry = bench.build(SETTINGS)
    restored = adoption._restored

    def restore(exchange, snapshot, label):
        if label.call_id == bad.call_id:
            raise RuntimeError("scripted")
        return restored(exchange, snapshot, label)

    monkeypatch.setattr(adoption, "_restored", restore)
    async with bench.exchange:
        await bench.exchange.attach()
        await asyncio.sleep(1)
        assert [call.call_id for call in bench.exchange.calls] == [good.call_id]
        assert list(bench.engine._legs) == [good.leg.id]
        assert bench.exchange.failures == 1
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


# --- dials ----------------------------------------------------------------------------------------------------


class Faulty(Wire):
    """An engine whose reply to a dial does not come, or that fails on one in a way nobody foresaw."""

    def __init__(self, engine, failure: Exception, *, reaches: bool) -> None:
        super().__init__(engine)
        self.failure = failure
        self.reaches = reaches

    async def execute(self, operation: ops.AnyOperation) -> None:
        if isinstance(operation, ops.LegDial):
            if self.reaches:
                await self.engine.execute(operation)
            raise self.failure
        if isinstance(operation, ops.Play):
            if self.reaches:
                await self.engine.execute(operation)
            await asyncio.sleep(10)
            raise EngineLost("the engine did not reply within 10 s")
        await super().execute(operation)


@pytest.fixture
async def faulty(tmp_path):
    bench = Bench(tmp_path, SETTINGS)
    failures = []

    async def start(failure: Exception, *, reaches: bool) -> Bench:
        bench.exchange, bench.registry = bench.build(SETTINGS, Faulty(bench.engine, failure, reaches=reaches))
        await bench.exchange.__aenter__()
        failures.append(bench.exchange)
        await bench.exchange.attach()
        return bench

    yield start
    for exchange in failures:
        await exchange.__aexit__(None, None, None)


async def test_a_leg_whose_dial_was_not_replied_to_in_time_is_hung_up_all_the_same(faulty):
    """The engine was only slow: the leg rang, was answered, and had no call."""
    bench = await faulty(EngineLost("the engine did not reply within 10 s"), reaches=True)
    bench.engine.default_peer = Peer(answer_after_s=5)
    await bench.run("calling.dial", tag="t", devices=DEVICES)
    told = await bench.sink.when("calling.call.dial", dial_state="failed")
    assert told["message"] == "the engine did not reply within 10 s"
    await asyncio.sleep(1)
    assert list(bench.engine._legs) == []
    assert len(bench.engine.sent(ops.LegHangup)) == 1
    assert len(bench.exchange.calls) == 0


async def test_a_dial_that_fails_in_a_way_nobody_foresaw_ends_its_call_and_is_told(faulty):
    """The call stayed ``created`` for ever, and the dial was never told to have failed."""
    bench = await faulty(RuntimeError("scripted"), reaches=False)
    await bench.run("calling.dial", tag="t", devices=DEVICES)
    told = await bench.sink.when("calling.call.dial", dial_state="failed")
    assert told["reason"] == "error"
    [ended] = bench.sink.of("calling.call.state", call_state="ended")
    assert (ended["end_reason"], ended["end_detail"]) == ("error", "not_dialled")
    await asyncio.sleep(1)
    assert len(bench.exchange.calls) == 0


async def test_a_dial_whose_planning_fails_is_told_and_frees_its_tag(bench, monkeypatch):
    async def fail(_device: object) -> None:
        raise RuntimeError("scripted")

    with monkeypatch.context() as patch:
        patch.setattr(bench.exchange.planner, "plan", fail)
        await bench.run("calling.dial", tag="t", devices=DEVICES)
        told = await bench.sink.when("calling.call.dial", dial_state="failed")
        assert "log" in told["message"]
        await asyncio.sleep(0.1)
    await bench.run("calling.dial", tag="t", devices=DEVICES)
    await bench.sink.when("calling.call.dial", dial_state="answered")


async def test_a_dialled_leg_that_the_engine_forgets_ends_at_its_own_limit(bench):
    """Only calls that came in had a limit for ringing: one that was placed, and never reported on, had none."""
    bench.engine.default_peer = Peer(ring_after_s=None, answer_after_s=None)
    await bench.run("calling.dial", tag="t", devices=DEVICES, timeout=20)
    await asyncio.sleep(1)
    [call] = list(bench.exchange.calls)
    for timer in bench.engine._legs[call.leg.id].timers:
        timer.cancel()
    await asyncio.sleep(20)
    assert not call.is_ending, "it is the engine's to say, for as long as it takes a CANCEL to be answered"
    await asyncio.sleep(41)
    [ended] = bench.sink.of("calling.call.state", call_state="ended")
    assert (ended["end_reason"], ended["end_detail"]) == ("noAnswer", "ringing_limit")
    assert bench.sink.of("calling.call.dial", dial_state="failed")
    assert list(bench.engine._legs) == []


async def test_a_play_that_was_not_replied_to_in_time_is_silenced(faulty):
    bench = await faulty(RuntimeError("not dialled here"), reaches=True)
    call = await bench.talk()
    ringtone = [{"type": "ringtone", "params": {"name": "us"}}]
    await bench.run("calling.play", call, control_id="p", play=ringtone)
    await bench.sink.when("calling.call.play", state="error")
    await asyncio.sleep(1)
    [snapshot] = (await bench.engine.start(bench.exchange.report)).legs
    assert snapshot.operations == []
    bench.engine.report(reports.DigitReport(leg=call.leg.id, digit="1", method="info"))
