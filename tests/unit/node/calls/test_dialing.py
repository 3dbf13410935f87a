from __future__ import annotations

import asyncio

import msgspec
import pytest

from bench import CLIENT, open_bench
from offhook.node.calls.settings import DialSettings, TrunkSettings
from offhook.node.engine import ops
from offhook.protocol.verbs.dial import DialEvent
from offhook.protocol.verbs.state import StateEvent
from offhook.testing.engine import Peer

pytestmark = pytest.mark.virtual_clock

BOB, EVE, JOE = "sip:bob@127.0.0.1", "sip:eve@127.0.0.1:5070", "sip:joe@127.0.0.1"
BUSY = Peer(answer_after_s=0.5, status=486, reason="Busy Here")
NEVER = Peer(answer_after_s=None)


def sip(to: str, **params) -> dict:
    return {"type": "sip", "params": {"from": "sip:me@127.0.0.1", "to": to, **params}}


def story(bench) -> list[str]:
    """Events of a dial in order, shortly; states with their callee."""
    lines = []
    for event in bench.sink.events:
        params = event.params
        if event.event_type == "calling.call.dial":
            lines.append(f"dial {params['dial_state']}")
        else:
            lines.append(f"{params['device']['params']['to'][4:7]} {params['call_state']}")
    return lines


async def test_an_answered_dial_goes_in_the_order_that_clients_need(bench):
    result = await bench.run("calling.dial", tag="t", devices=[[sip(BOB)]])
    assert result == {"code": "200", "message": "Dialing"}
    dialled = await bench.sink.when("calling.call.dial", dial_state="answered")
    assert story(bench) == ["dial dialing", "bob created", "bob ringing", "bob answered", "dial answered"]
    msgspec.convert(dialled, DialEvent)
    call = dialled["call"]
    assert (call["tag"], call["call_state"], call["direction"]) == ("t", "answered", "outbound")
    assert call["dial_winner"] == "true"
    assert not {"start_time", "answer_time", "end_time"} & call.keys()
    for params in bench.sink.of("calling.call.state"):
        msgspec.convert(params, StateEvent)
        assert (params["tag"], params["direction"]) == ("t", "outbound")
    winner = bench.sink.of("calling.call.state", call_state="answered")[0]
    assert winner["dial_winner"] == "true"
    assert bench.desk.owners == {call["call_id"]: CLIENT}
    answered = [event for event in bench.sink.events if event.params.get("dial_state") == "answered"]
    assert answered[0].call_id == call["call_id"]  # the same outbox as its state
    assert {event.tag for event in bench.sink.events} == {"t"}, "all in one order"
    dialled = [event for event in bench.sink.events if event.event_type == "calling.call.dial"]
    assert {event.session for event in dialled} == {"session-1"}


async def test_the_first_answer_wins_and_losers_end_without_their_tag(bench):
    bench.engine.peers[EVE] = Peer(answer_after_s=0.7)
    bench.engine.peers[JOE] = NEVER
    await bench.run("calling.dial", tag="t", devices=[[sip(BOB), sip(EVE), sip(JOE)]])
    await bench.sink.when("calling.call.dial", dial_state="answered")
    await asyncio.sleep(5)
    lines = story(bench)
    assert lines.index("eve answered") + 1 == lines.index("dial answered")
    for loser in ("bob", "joe"):
        assert lines.index(f"{loser} ending") > lines.index("dial answered")
        assert f"{loser} ended" in lines
        assert f"{loser} answered" not in lines
    for params in bench.sink.of("calling.call.state"):
        is_over = params["call_state"] in ("ending", "ended")
        assert params["tag"] == ("" if is_over else "t")
        if is_over:
            assert params["end_reason"] == "cancel"
            assert "dial_winner" not in params


async def test_two_answers_at_once_make_one_winner(bench):
    await bench.run("calling.dial", tag="t", devices=[[sip(BOB), sip(JOE)]])
    await bench.sink.when("calling.call.dial", dial_state="answered")
    await asyncio.sleep(5)
    assert len(bench.sink.of("calling.call.state", call_state="answered")) == 1
    assert len(bench.sink.of("calling.call.dial")) == 2
    assert len(bench.exchange.calls) == 1


async def test_devices_are_tried_one_after_another(bench):
    bench.engine.peers[BOB] = BUSY
    await bench.run("calling.dial", tag="t", devices=[[sip(BOB)], [sip(EVE)]])
    await bench.sink.when("calling.call.dial", dial_state="answered")
    lines = story(bench)
    assert lines.index("bob ended") < lines.index("eve created")
    [ended] = bench.sink.of("calling.call.state", call_state="ended")
    assert (ended["end_reason"], ended["tag"]) == ("busy", "")


@pytest.mark.parametrize(
    ("peer", "reason", "source"),
    [
        (BUSY, "busy", "inbound"),
        (Peer(answer_after_s=0.1, status=603), "decline", "inbound"),
        (Peer(answer_after_s=0.1, status=404), "notFound", "inbound"),
        (Peer(answer_after_s=0.1, status=503), "error", "inbound"),
        (NEVER, "noAnswer", "outbound"),
    ],
)
async def test_a_failed_dial_says_why(bench, peer, reason, source):
    bench.engine.peers[BOB] = peer
    await bench.run("calling.dial", tag="t", devices=[[sip(BOB)]])
    failed = await bench.sink.when("calling.call.dial", dial_state="failed")
    msgspec.convert(failed, DialEvent)
    assert (failed["reason"], failed["source"], failed["tag"]) == (reason, source, "t")
    assert story(bench)[-1] == "dial failed"
    await asyncio.sleep(1)
    assert not len(bench.exchange.calls)


@pytest.mark.parametrize(("device", "request_s", "expected_ms"), [(7, 9, 7000), (None, 9, 9000), (None, None, 30_000)])
async def test_the_ring_timeout_is_the_devices_then_the_requests_then_30_s(bench, device, request_s, expected_ms):
    bench.engine.peers[BOB] = NEVER
    params = {"timeout": request_s} if request_s else {}
    await bench.run("calling.dial", tag="t", devices=[[sip(BOB, timeout=device)]], **params)
    await bench.sink.when("calling.call.dial", dial_state="failed")
    [dial] = bench.engine.sent(ops.LegDial)
    assert dial.ring_timeout_ms == expected_ms


async def test_digits_follow_the_answer_and_the_duration_is_limited(bench):
    await bench.run("calling.dial", tag="t", devices=[[sip(BOB)]], send_digits="wW1a#", max_duration=30)
    await bench.sink.when("calling.call.dial", dial_state="answered")
    ended = await bench.sink.when("calling.call.state", call_state="ended")
    [digits] = bench.engine.sent(ops.SendDigits)
    assert digits.digits == "wW1A#"
    assert (ended["end_reason"], ended["tag"]) == ("maxDuration", "t")  # the winner keeps its tag


async def test_hanging_up_a_ringing_leg_cancels_it(bench):
    bench.engine.peers[BOB] = NEVER
    await bench.run("calling.dial", tag="t", devices=[[sip(BOB)]])
    state = await bench.sink.when("calling.call.state", call_state="ringing")
    await bench.run("calling.end", node_id="node-1", call_id=state["call_id"], reason="cancel")
    failed = await bench.sink.when("calling.call.dial", dial_state="failed")
    assert failed["reason"] == "cancel"


async def test_what_a_device_says_reaches_the_engine(bench):
    headers = [{"name": "X-Order", "value": "7"}]
    to = "sip:bob@127.0.0.1:5071;transport=tcp"
    await bench.run("calling.dial", tag="t", devices=[[sip(to, headers=headers, codecs=["PCMA"], from_name="Me")]])
    await bench.sink.when("calling.call.dial", dial_state="answered")
    [dial] = bench.engine.sent(ops.LegDial)
    assert (dial.to_uri, dial.destination, dial.transport) == ("sip:bob@127.0.0.1:5071", "127.0.0.1:5071", "tcp")
    assert (dial.headers, dial.codecs, dial.from_display) == ([ops.Header("X-Order", "7")], ["PCMA"], "Me")


async def test_a_phone_device_goes_to_the_trunk_and_nowhere_else(bench):
    phone = {"type": "phone", "params": {"to_number": "+15551234567"}}
    await bench.run("calling.dial", tag="t", devices=[[phone]])
    await bench.sink.when("calling.call.dial", dial_state="answered")
    [dial] = bench.engine.sent(ops.LegDial)
    assert (dial.to_uri, dial.destination) == ("sip:+15551234567@trunk.example", "198.51.100.1:5080")
    state = bench.sink.of("calling.call.state", call_state="created")[0]
    assert state["device"]["params"] == {"from_number": "+15550000000", "to_number": "+15551234567"}


async def test_without_a_trunk_a_phone_device_fails_with_what_to_configure(tmp_path):
    async with open_bench(tmp_path, trunk=TrunkSettings()) as bench:
        phone = {"type": "phone", "params": {"to_number": "+15551234567"}}
        await bench.run("calling.dial", tag="t", devices=[[phone]])
        failed = await bench.sink.when("calling.call.dial", dial_state="failed")
        assert failed["reason"] == "error"
        assert "[trunk] host" in failed["message"]


@pytest.mark.parametrize(
    ("to", "destination"),
    [
        ("sip:a@192.0.2.9", "192.0.2.9:5060"),
        ("sip:a@pbx.example:5070", "203.0.113.7:5070"),
        ("sip:a@203.0.113.7:5070", "203.0.113.7:5070"),  # the address counts, not the name
        ("sip:a@[::1]", "[::1]:5060"),
        ("a@127.0.0.1", "127.0.0.1:5060"),
        ("sip:a@pbx.example", None),  # another port
        ("sip:a@evil.example", None),
        ("sip:a@10.0.0.1", None),
        ("sip:a@nowhere.example", None),
    ],
)
async def test_sip_devices_reach_loopback_and_what_is_allowed_after_resolution(bench, to, destination):
    await bench.run("calling.dial", tag="t", devices=[[sip(to)]])
    if destination is None:
        failed = await bench.sink.when("calling.call.dial", dial_state="failed")
        assert "allow" in failed["message"] or "not found" in failed["message"]
        assert not bench.engine.sent(ops.LegDial)
    else:
        await bench.sink.when("calling.call.dial", dial_state="answered")
        assert [dial.destination for dial in bench.engine.sent(ops.LegDial)] == [destination]


async def test_nothing_is_allowed_by_default_but_loopback(tmp_path):
    async with open_bench(tmp_path, dial=DialSettings()) as bench:
        await bench.run("calling.dial", tag="t", devices=[[sip("sip:a@192.0.2.9")]])
        await bench.sink.when("calling.call.dial", dial_state="failed")


@pytest.mark.parametrize(
    ("device", "code"),
    [
        ({"type": "sip", "params": {"to": "not a uri at all"}}, "400"),
        ({"type": "sip", "params": {"to": "sips:a@127.0.0.1"}}, "501"),
        ({"type": "sip", "params": {"to": "sip:a@127.0.0.1;transport=tls"}}, "501"),
        ({"type": "sip", "params": {"to": "sip:a@127.0.0.1;transport=ws"}}, "501"),
        ({"type": "sip", "params": {"to": "sip:a@127.0.0.1", "codecs": ["OPUS"]}}, "501"),
        ({"type": "phone", "params": {"to_number": "call me"}}, "400"),
        ({"type": "fabric", "params": {"to": "/private/x"}}, "501"),
        ({"type": "agora", "params": {"to": "x"}}, "400"),
        ({"type": "sip", "params": {}}, "400"),
        ({"type": "sip", "params": {"to": "sip:a@127.0.0.1", "from_name": "x\r\nVia: y"}}, "400"),
    ],
)
async def test_devices_that_can_never_be_called_are_refused_at_once(bench, device, code):
    refused, sentence = await bench.refused("calling.dial", tag="t", devices=[[device]])
    assert refused == code
    assert sentence
    assert bench.sink.events == []


async def test_a_tag_that_is_being_dialled_is_not_dialled_twice(bench):
    bench.engine.peers[BOB] = NEVER
    first = await bench.run("calling.dial", tag="t", devices=[[sip(BOB)]])
    assert await bench.run("calling.dial", tag="t", devices=[[sip(BOB)]]) == first
    assert (await bench.refused("calling.dial", tag="t", devices=[[sip(EVE)]]))[0] == "409"
    await bench.sink.when("calling.call.dial", dial_state="failed")
    assert len(bench.engine.sent(ops.LegDial)) == 1


async def test_a_dial_that_the_engine_refuses_fails(bench):
    bench.engine.refuse_next(ops.LegDial, "unreachable", "no route")
    await bench.run("calling.dial", tag="t", devices=[[sip(BOB)]])
    failed = await bench.sink.when("calling.call.dial", dial_state="failed")
    assert (failed["reason"], failed["message"]) == ("error", "no route")


async def test_a_node_that_stops_ends_a_dial_under_way(tmp_path):
    async with open_bench(tmp_path) as bench:
        bench.engine.default_peer = NEVER
        await bench.run("calling.dial", tag="t", devices=[[sip(BOB)], [sip(EVE)]])
        await bench.sink.when("calling.call.state", call_state="ringing")
    assert len(bench.engine.sent(ops.LegDial)) == 1


async def test_a_dial_has_a_bounded_number_of_devices(bench):
    code, sentence = await bench.refused("calling.dial", tag="t", devices=[[sip(BOB)] * 30, [sip(EVE)] * 30])
    assert (code, "50" in sentence) == ("400", True)
