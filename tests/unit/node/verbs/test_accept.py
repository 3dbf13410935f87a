from __future__ import annotations

import asyncio

import pytest

from bench import NODE
from offhook.node.calls.ports import Client
from offhook.node.engine import ops

pytestmark = pytest.mark.virtual_clock

OTHER = Client("session-2")


async def test_the_caller_hears_ringing_and_the_program_is_told_once(bench):
    call = bench.ring()
    accepted = {"code": "200", "message": "Accepting call", "call_id": call.call_id}
    assert await bench.run("calling.accept", call) == accepted
    assert await bench.run("calling.accept", call, early_media=False) == accepted
    assert [ring.early_media for ring in bench.engine.sent(ops.LegRing)] == [False]
    [ringing] = bench.sink.of("calling.call.state")
    assert (ringing["call_state"], ringing["answer_time"], ringing["end_time"]) == ("ringing", 0, 0)
    assert call.is_open
    assert not bench.engine.sent(ops.LegAnswer)


async def test_a_call_that_rings_already_rings_once_and_its_program_is_told(bench):
    call = bench.ring()
    await call.alert()
    assert bench.states(call) == []
    await bench.run("calling.accept", call)
    assert bench.states(call) == ["ringing"]
    assert len(bench.engine.sent(ops.LegRing)) == 1


async def test_two_at_once_ring_and_tell_once(bench):
    call = bench.ring()
    await asyncio.gather(bench.run("calling.accept", call), bench.run("calling.accept", call))
    assert len(bench.engine.sent(ops.LegRing)) == 1
    assert bench.states(call) == ["ringing"]


async def test_answer_follows_at_once_and_in_order(bench):
    call = bench.ring()
    bench.engine.reply_after_s = 0.05
    await asyncio.gather(bench.run("calling.accept", call), bench.run("calling.answer", call))
    assert bench.states(call) in (["ringing", "answered"], ["answered"])
    kinds = [type(sent) for sent in bench.engine.operations if isinstance(sent, ops.LegRing | ops.LegAnswer)]
    assert kinds == [ops.LegRing, ops.LegAnswer]


async def test_after_the_answer_it_is_409_with_a_sentence(bench):
    call = await bench.talk()
    code, sentence = await bench.refused("calling.accept", call)
    assert (code, "answered already" in sentence) == ("409", True)
    assert not bench.engine.sent(ops.LegRing)
    assert bench.states(call) == ["answered"]


async def test_while_it_is_being_answered_it_is_409(bench):
    call = bench.ring()
    bench.engine.reply_after_s = 0.1
    answer = asyncio.create_task(bench.run("calling.answer", call))
    await asyncio.sleep(0.01)
    assert (await bench.refused("calling.accept", call))[0] == "409"
    await answer
    assert bench.states(call) == ["answered"]


async def test_media_still_need_an_answer(bench):
    call = bench.ring()
    await bench.run("calling.accept", call)
    play = [{"type": "silence", "params": {"duration": 1}}]
    refused = await bench.refused("calling.play", call, control_id="p", play=play)
    assert refused == ("409", "answer() first")


@pytest.mark.parametrize(("reason", "status"), [("hangup", 603), ("busy", 486)])
async def test_a_hangup_after_it_refuses_the_call_on_sip(bench, reason, status):
    call = bench.ring()
    await bench.run("calling.accept", call)
    await bench.run("calling.end", call, reason=reason)
    ended = await bench.ended(call)
    assert (ended["end_reason"], ended["answer_time"]) == (reason, 0)
    assert [hangup.status for hangup in bench.engine.sent(ops.LegHangup)] == [status]
    assert bench.states(call) == ["ringing", "ending", "ended"]


async def test_a_caller_who_cancels_after_it_is_abandoned(bench):
    call = bench.ring()
    await bench.run("calling.accept", call)
    bench.engine.hang_up(call.leg.id)
    ended = await bench.ended(call)
    assert (ended["end_reason"], ended["end_source"]) == ("abandoned", "inbound")
    assert bench.states(call) == ["ringing", "ending", "ended"]
    assert (await bench.refused("calling.accept", call))[0] == "410"


async def test_a_caller_who_cancels_meanwhile_gets_us_410_and_no_ringing_after_the_end(bench):
    call = bench.ring()
    bench.engine.reply_after_s = 0.1
    accept = asyncio.create_task(bench.refused("calling.accept", call))
    await asyncio.sleep(0.05)
    bench.engine.hang_up(call.leg.id)
    assert (await accept)[0] == "410"
    await bench.ended(call)
    assert bench.states(call) == ["ending", "ended"]


async def test_on_a_call_that_is_ending_it_is_410(bench):
    call = bench.ring()
    await bench.run("calling.end", call)
    assert (await bench.refused("calling.accept", call))[0] == "410"
    assert not bench.engine.sent(ops.LegRing)


async def test_an_engine_that_does_not_ring_is_told_and_it_may_be_tried_again(bench):
    call = bench.ring()
    bench.engine.refuse_next(ops.LegRing, "internal", "no such day")
    assert await bench.refused("calling.accept", call) == ("500", "no such day")
    assert bench.states(call) == []
    await bench.run("calling.accept", call)
    assert bench.states(call) == ["ringing"]


async def test_nobody_is_kept_ringing_beyond_the_limit(bench):
    call = bench.ring()
    await bench.run("calling.accept", call)
    ended = await bench.ended(call)
    assert ended["end_reason"] == "noAnswer"
    assert ended["end_time"] - ended["start_time"] == pytest.approx(120_000, abs=100)


async def test_passed_on_it_rings_on_and_the_next_program_is_told_too(bench):
    call = bench.ring()
    await bench.run("calling.accept", call)
    await bench.run("calling.pass", call)
    assert bench.desk.passes == [(call.call_id, "session-1")]
    await bench.registry.run("calling.accept", {"node_id": NODE, "call_id": call.call_id}, OTHER)
    assert bench.states(call) == ["ringing", "ringing"]
    assert len(bench.engine.sent(ops.LegRing)) == 1


async def test_early_media_is_501_by_name_and_changes_nothing(bench):
    call = bench.ring()
    code, sentence = await bench.refused("calling.accept", call, early_media=True)
    assert (code, "`early_media`" in sentence) == ("501", True)
    assert not bench.engine.sent(ops.LegRing)
    assert bench.states(call) == []
    await bench.run("calling.accept", call)


async def test_a_call_that_we_placed_rings_elsewhere(bench):
    device = {"type": "sip", "params": {"to": "sip:bob@127.0.0.1"}}
    await bench.run("calling.dial", tag="t", devices=[[device]])
    params = await bench.sink.when("calling.call.state", call_state="ringing")
    address = {"node_id": params["node_id"], "call_id": params["call_id"]}
    code, sentence = await bench.refused("calling.accept", **address)
    assert (code, "placed by us" in sentence) == ("409", True)
    assert not bench.engine.sent(ops.LegRing)
