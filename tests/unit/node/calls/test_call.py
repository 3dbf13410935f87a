from __future__ import annotations

import asyncio

import msgspec
import pytest

from bench import open_bench
from offhook.node.calls.endings import ending_of
from offhook.node.calls.settings import Limits, Route
from offhook.node.calls.sip import reason_of_status
from offhook.node.engine import ops, reports
from offhook.protocol.states import CALL_TRANSITIONS, CallState, Direction
from offhook.protocol.verbs.state import ReceiveEvent, StateEvent

pytestmark = pytest.mark.virtual_clock

SEVEN = {"node_id", "call_id", "segment_id", "tag", "call_state", "direction", "device"}
TIMES = {"start_time", "answer_time", "end_time"}


async def test_every_state_event_is_whole(bench):
    call = await bench.talk()
    await bench.run("calling.end", call, reason="hangup")
    await bench.ended(call)
    states = bench.sink.of("calling.call.state")
    assert [params["call_state"] for params in states] == ["answered", "ending", "ended"]
    for params in states:
        assert params.keys() >= SEVEN | TIMES
        msgspec.convert(params, StateEvent)
        assert all(type(params[name]) is int for name in TIMES)
    answered, ending, ended = states
    assert answered["end_time"] == 0
    assert answered["answer_time"] >= answered["start_time"] > 0
    assert (ending["end_reason"], ending["end_source"]) == ("hangup", "outbound")
    assert (ended["end_reason"], ended["end_source"]) == ("hangup", "outbound")
    assert ended["end_time"] >= ended["answer_time"]
    assert ended["sip_data"]["sip_from_user"] == "alice"


async def test_the_offer_has_what_the_published_clients_need(bench):
    call = bench.ring(headers=[ops.Header("X-Customer", "7"), ops.Header("Via", "hidden")])
    assert bench.desk.offers == [call]
    params = call.receive_params()
    msgspec.convert(params, ReceiveEvent)
    assert (params["context"], params["call_state"], params["direction"]) == ("default", "created", "inbound")
    assert params["device"] == {
        "type": "sip",
        "params": {
            "from": "sip:alice@127.0.0.1",
            "to": "sip:100@127.0.0.1",
            "headers": [{"name": "X-Customer", "value": "7"}],
        },
    }
    assert bench.sink.events == []  # no state before the offer


async def test_numbers_on_both_sides_make_a_phone_device(bench):
    call = bench.ring(from_uri="sip:+15551230001@127.0.0.1", to_uri="sip:+15551230002@127.0.0.1;user=phone")
    assert call.receive_params()["device"] == {
        "type": "phone",
        "params": {"from_number": "+15551230001", "to_number": "+15551230002"},
    }


@pytest.mark.parametrize(
    ("reason", "status"),
    [("hangup", 603), ("decline", 603), ("busy", 486), ("noAnswer", 480), ("cancel", 487), ("error", 500)],
)
async def test_ending_an_unanswered_call_says_why_on_sip(bench, reason, status):
    call = bench.ring()
    assert (await bench.run("calling.end", call, reason=reason))["message"] == "Ending call"
    assert (await bench.ended(call))["end_reason"] == reason
    [hangup] = bench.engine.sent(ops.LegHangup)
    assert hangup.status == status
    assert len(hangup.reason.split()) >= 4, "no sentence"


async def test_the_callers_cancel_is_abandoned(bench):
    call = bench.ring()
    bench.engine.hang_up(call.leg.id)
    ended = await bench.ended(call)
    assert (ended["end_reason"], ended["end_source"], ended["answer_time"]) == ("abandoned", "inbound", 0)
    assert bench.states(call) == ["ending", "ended"]
    await asyncio.sleep(0)
    assert bench.desk.forgotten == [call.call_id]


async def test_a_bye_of_the_caller_is_a_hangup_from_inbound(bench):
    call = await bench.talk()
    bench.engine.hang_up(call.leg.id)
    ended = await bench.ended(call)
    assert (ended["end_reason"], ended["end_source"]) == ("hangup", "inbound")
    assert not bench.engine.sent(ops.LegHangup)


async def test_an_answer_without_a_codec_in_common_is_reported_and_may_be_repeated(bench):
    call = bench.ring()
    bench.engine.refuse_next(ops.LegAnswer, "not_negotiated", "The caller offers no PCMA: answer with PCMU")
    code, sentence = await bench.refused("calling.answer", call, codecs=["PCMA"])
    assert (code, sentence) == ("400", "The caller offers no PCMA: answer with PCMU")
    await bench.run("calling.answer", call, codecs=["PCMU"])
    assert bench.states(call) == ["answered"]
    assert (await bench.refused("calling.answer", call))[0] == "409"


async def test_a_caller_who_goes_while_we_answer_gets_us_410(bench):
    call = bench.ring()
    bench.engine.reply_after_s = 0.1
    answer = asyncio.create_task(bench.refused("calling.answer", call))
    await asyncio.sleep(0.05)
    bench.engine.hang_up(call.leg.id)
    assert (await answer)[0] == "410"
    assert (await bench.ended(call))["end_reason"] == "abandoned"


async def test_max_duration_ends_the_call(bench):
    call = bench.ring()
    await bench.run("calling.answer", call, max_duration=7)
    began = asyncio.get_running_loop().time()
    ended = await bench.ended(call)
    assert asyncio.get_running_loop().time() - began == pytest.approx(7, abs=0.1)
    assert (ended["end_reason"], ended["end_source"]) == ("maxDuration", "none")


async def test_no_call_outlives_the_limit_of_the_node(tmp_path):
    async with open_bench(tmp_path, limits=Limits(call_s=100)) as bench:
        call = bench.ring()
        await bench.run("calling.answer", call, max_duration=100_000)
        ended = await bench.ended(call)
        assert ended["end_time"] - ended["answer_time"] == pytest.approx(100_000, abs=100)


async def test_a_call_on_hold_ends_after_an_hour_but_not_when_it_was_taken_off(bench):
    held, back = await bench.talk(), await bench.talk()
    for call in (held, back):
        bench.engine.report(reports.LegChanged(leg=call.leg.id, hold=True))
    await asyncio.sleep(3000)
    bench.engine.report(reports.LegChanged(leg=back.leg.id, hold=False))
    await asyncio.sleep(700)
    ended = await bench.ended(held)
    assert (ended["end_reason"], ended["end_detail"]) == ("maxDuration", "hold_limit")
    assert bench.states(back) == ["answered"]


async def test_a_peer_that_says_again_that_it_holds_does_not_begin_the_hour_anew(bench):
    call = await bench.talk()
    for number in range(4):
        bench.engine.report(reports.LegChanged(leg=call.leg.id, hold=True, remote_media=f"127.0.0.1:{4000 + number}"))
        await asyncio.sleep(1000)
    [ended] = bench.sink.of("calling.call.state", call_state="ended")
    assert ended["end_detail"] == "hold_limit"


async def test_a_codec_that_changes_in_the_call_is_known(bench):
    call = await bench.talk()
    assert call.leg.codec == "PCMU"
    bench.engine.report(reports.LegChanged(leg=call.leg.id, hold=False, codec="PCMA"))
    assert call.leg.codec == "PCMA"


async def test_an_inbound_call_does_not_ring_for_ever(bench):
    call = bench.ring()
    await call.alert()
    await asyncio.sleep(121)
    assert (await bench.ended(call))["end_reason"] == "noAnswer"
    [hangup] = bench.engine.sent(ops.LegHangup)
    assert hangup.status == 480


async def test_the_desk_may_refuse_an_open_call_with_a_sentence_and_no_other(bench):
    call, answered = bench.ring(), await bench.talk()
    await call.reject(480, "Nobody listens to default")
    await answered.reject(480, "Nobody listens to default")
    assert (await bench.ended(call))["end_reason"] == "noAnswer"
    [hangup] = bench.engine.sent(ops.LegHangup)
    assert (hangup.status, hangup.reason) == (480, "Nobody listens to default")
    assert bench.states(answered) == ["answered"]


async def test_who_lost_the_offer_gets_a_whole_ended_with_reason_cancel(bench):
    params = bench.ring().withdrawn_params()
    assert params.keys() >= SEVEN | TIMES
    assert (params["call_state"], params["end_reason"]) == ("ended", "cancel")


async def test_a_number_without_a_route_gets_404_and_learns_what_to_configure(tmp_path):
    """livekit/sip#484: a call that matches nothing is told so, not called a flood."""
    async with open_bench(tmp_path, routes=[Route("+1555*", "office")]) as bench:
        bench.engine.ring_in(to_uri="sip:+44123@127.0.0.1")
        await asyncio.sleep(1)
        [hangup] = bench.engine.sent(ops.LegHangup)
        assert hangup.status == 404
        assert "[[routes]]" in hangup.reason
        assert "+44123" in hangup.reason
        assert not bench.desk.offers
        assert bench.ring(to_uri="sip:+15551@127.0.0.1").context == "office"


async def test_passing_offers_the_call_to_another_and_only_before_the_answer(bench):
    call = bench.ring()
    await bench.run("calling.pass", call)
    assert bench.desk.passes == [(call.call_id, "session-1")]
    await bench.run("calling.answer", call)
    assert (await bench.refused("calling.pass", call))[0] == "409"


async def test_a_silent_engine_does_not_keep_a_call_alive(bench):
    call = await bench.talk()
    bench.engine.refuse_next(ops.LegHangup, "internal", "cannot")
    await bench.run("calling.end", call)
    assert (await bench.ended(call))["end_reason"] == "hangup"


async def test_a_lost_engine_ends_every_call_with_error(bench):
    calls = [await bench.talk(), bench.ring()]
    await bench.run("calling.play", calls[0], control_id="p", play=[{"type": "silence", "params": {"duration": 9}}])
    bench.engine.crash()
    await bench.exchange.attach()
    for call in calls:
        ended = await bench.ended(call)
        assert (ended["end_reason"], ended["end_detail"], ended["end_source"]) == ("error", "node_failure", "none")
    assert bench.told("p") == ["play error"]
    await bench.talk()  # the new engine takes calls


async def test_a_lost_connection_to_a_living_engine_ends_nothing(bench):
    call = await bench.talk()
    bench.engine.lose()
    bench.engine.press(call.leg.id, "1")
    await bench.exchange.attach()
    await bench.run("calling.play", call, control_id="p", play=[{"type": "silence", "params": {"duration": 1}}])
    await bench.sink.when("calling.call.play", control_id="p", state="finished")


async def test_reports_are_acked_after_they_are_journalled(bench):
    gate = asyncio.Event()
    bench.sink.journalled = gate.wait
    await bench.talk()
    await asyncio.sleep(1)
    assert not bench.engine.sent(ops.Ack)
    gate.set()
    await asyncio.sleep(1)
    assert bench.engine.sent(ops.Ack)[-1].seq == bench.exchange._last_seq > 0


def test_final_states_allow_nothing_and_every_state_ends():
    for state, following in CALL_TRANSITIONS.items():
        assert state not in following
        assert CallState.ENDED in following or state is CallState.ENDED or CallState.ENDING in following
    assert not CALL_TRANSITIONS[CallState.ENDED]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (486, "busy"), (600, "busy"), (408, "noAnswer"), (480, "noAnswer"), (603, "decline"),
        (404, "notFound"), (410, "notFound"), (604, "notFound"), (500, "error"), (403, "error"), (302, "error"),
    ],
)  # fmt: skip
def test_what_a_final_response_means(status, reason):
    assert reason_of_status(status).value == reason


@pytest.mark.parametrize(
    ("cause", "by", "direction", "reason", "source", "detail"),
    [
        ("bye", "remote", "inbound", "hangup", "inbound", ""),
        ("bye", "local", "inbound", "hangup", "outbound", ""),
        ("cancel", "remote", "inbound", "abandoned", "inbound", ""),
        ("cancel", "local", "outbound", "cancel", "outbound", ""),
        ("timeout", "none", "outbound", "noAnswer", "none", ""),
        ("ack_timeout", "none", "inbound", "error", "none", "ack_timeout"),
        ("media_timeout", "none", "inbound", "error", "none", "media_timeout"),
        ("unreachable", "none", "outbound", "error", "none", "unreachable"),
        ("fork", "local", "outbound", "cancel", "outbound", ""),
        ("error", "none", "outbound", "error", "none", "engine_error"),
    ],
)
def test_what_the_end_of_a_leg_means(cause, by, direction, reason, source, detail):
    ending = ending_of(reports.LegEnded(leg="l", by=by, cause=cause), Direction(direction))
    assert (ending.reason.value, ending.source.value, ending.detail) == (reason, source, detail)
