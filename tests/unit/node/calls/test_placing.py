"""A device whose host has several addresses is called at the next where nobody serves it (RFC 3263, section 4.3)."""

from __future__ import annotations

import asyncio

import pytest

from bench import NODE, Bench, open_bench
from offhook.node.calls.settings import TrunkSettings
from offhook.node.engine import ops, reports
from offhook.testing.engine import Peer

pytestmark = pytest.mark.virtual_clock

FIRST, SECOND = "192.0.2.1:5060", "192.0.2.2:5060"
NOBODY = Peer(answer_after_s=0.5, is_there=False)
FULL = Peer(ring_after_s=None, answer_after_s=0.5, status=503, reason="Service Unavailable")
SILENT = Peer(ring_after_s=None, answer_after_s=None)


def sip(host: str, **params: object) -> dict[str, object]:
    return {"type": "sip", "params": {"to": f"sip:bob@{host}", **params}}


async def dial(bench: Bench, *devices: dict[str, object], **params: object) -> None:
    await bench.run("calling.dial", tag="t", devices=[list(devices)], **params)


def asked(bench: Bench) -> list[str]:
    return [operation.destination for operation in bench.engine.sent(ops.LegDial)]


def states(bench: Bench) -> list[str]:
    return [state["call_state"] for state in bench.sink.of("calling.call.state")]


@pytest.mark.parametrize("peer", [NOBODY, FULL])
async def test_where_the_first_address_does_not_serve_the_call_is_placed_at_the_second(bench, peer):
    bench.engine.peers[FIRST] = peer
    await dial(bench, sip("two.example"))
    answered = await bench.sink.when("calling.call.dial", dial_state="answered")
    assert asked(bench) == [FIRST, SECOND]
    assert states(bench) == ["created", "ringing", "answered"]
    assert {state["call_id"] for state in bench.sink.of("calling.call.state")} == {answered["call"]["call_id"]}
    [call] = list(bench.exchange.calls)
    await bench.run("calling.play", call, control_id="p", play=[{"type": "silence", "params": {"duration": 1}}])
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    bench.engine.hang_up(call.leg.id)
    assert (await bench.ended(call))["end_reason"] == "hangup"
    assert bench.engine._legs == {}


async def test_one_invite_differs_from_the_other_by_its_destination_alone(bench):
    bench.engine.peers[FIRST] = NOBODY
    device = sip("two.example;transport=tcp", codecs=["PCMA"], headers=[{"name": "X-Order", "value": "7"}])
    await dial(bench, device)
    await bench.sink.when("calling.call.dial", dial_state="answered")
    first, second = bench.engine.sent(ops.LegDial)
    assert first.leg != second.leg, "it was told to be gone"
    for name in ("to_uri", "from_uri", "transport", "headers", "codecs", "label"):
        assert getattr(first, name) == getattr(second, name), name


@pytest.mark.parametrize("status", [302, 404, 408, 480, 486, 500, 504, 600, 603])
async def test_who_answers_anything_else_has_been_reached_and_nobody_else_is_asked(bench, status):
    bench.engine.peers[FIRST] = Peer(ring_after_s=None, answer_after_s=0.5, status=status)
    await dial(bench, sip("two.example"))
    await bench.sink.when("calling.call.dial", dial_state="failed")
    assert asked(bench) == [FIRST]


@pytest.mark.parametrize("early_media", [False, True])
async def test_whose_phone_rang_is_not_called_again(bench, early_media):
    bench.engine.peers[FIRST] = Peer(answer_after_s=3, status=503, early_media=early_media)
    await dial(bench, sip("two.example"))
    await bench.sink.when("calling.call.dial", dial_state="failed")
    assert asked(bench) == [FIRST]
    assert states(bench) == ["created", "ringing", "ending", "ended"]


async def test_an_address_that_says_no_word_for_4_s_is_given_up_for_the_next(bench):
    bench.engine.peers[FIRST] = SILENT
    await dial(bench, sip("two.example"), timeout=60)
    await bench.sink.when("calling.call.dial", dial_state="answered")
    assert asked(bench) == [FIRST, SECOND]
    first, second = bench.engine.sent(ops.LegDial)
    assert (first.ring_timeout_ms, first.response_timeout_ms) == (60_000, 4_000)
    assert (second.ring_timeout_ms, second.response_timeout_ms) == (56_000, 0), "nobody is behind it"


@pytest.mark.parametrize("within_s", [4, 7])
async def test_all_addresses_together_have_the_time_that_the_device_may_ring(bench, within_s):
    bench.engine.default_peer = SILENT
    began = asyncio.get_running_loop().time()
    await dial(bench, sip("two.example", timeout=within_s))
    failed = await bench.sink.when("calling.call.dial", dial_state="failed")
    assert failed["reason"] == "noAnswer"
    assert asyncio.get_running_loop().time() - began == pytest.approx(within_s, abs=0.01)
    assert asked(bench) == ([FIRST, SECOND] if within_s == 7 else [FIRST])


async def test_for_less_than_a_second_nobody_is_called(bench):
    bench.engine.peers[FIRST] = Peer(answer_after_s=6.5, is_there=False)
    await dial(bench, sip("two.example", timeout=7))
    await bench.sink.when("calling.call.dial", dial_state="failed")
    assert asked(bench) == [FIRST]


async def test_when_no_address_serves_the_last_one_says_why_once(bench):
    bench.engine.peers = {FIRST: FULL, SECOND: NOBODY}
    await dial(bench, sip("two.example"))
    failed = await bench.sink.when("calling.call.dial", dial_state="failed")
    assert (failed["reason"], failed["message"]) == ("error", "not reached")
    assert asked(bench) == [FIRST, SECOND]
    assert states(bench) == ["created", "ending", "ended"]
    [ended] = bench.sink.of("calling.call.state", call_state="ended")
    assert ended["end_detail"] == "unreachable"
    await asyncio.sleep(1)
    assert not len(bench.exchange.calls)
    assert bench.engine._legs == {}


async def test_an_address_that_the_engine_has_no_way_to_is_passed_over(bench):
    bench.engine.refuse_next(ops.LegDial, "unreachable", "no way to [::1]:5060")
    await dial(bench, sip("both.example"))
    await bench.sink.when("calling.call.dial", dial_state="answered")
    assert asked(bench) == ["[::1]:5060", "127.0.0.1:5060"]
    assert states(bench) == ["created", "ringing", "answered"]


async def test_what_the_engine_refuses_for_another_reason_is_not_tried_elsewhere(bench):
    bench.engine.refuse_next(ops.LegDial, "no_capacity", "all lines are taken")
    await dial(bench, sip("two.example"))
    failed = await bench.sink.when("calling.call.dial", dial_state="failed")
    assert failed["message"] == "all lines are taken"
    assert asked(bench) == [FIRST]


async def test_a_call_that_ends_while_an_address_is_tried_is_not_placed_at_the_next(bench):
    bench.engine.peers[FIRST] = NOBODY
    await dial(bench, sip("two.example"))
    created = await bench.sink.when("calling.call.state", call_state="created")
    await asyncio.sleep(0.4)
    await bench.run("calling.end", node_id=NODE, call_id=created["call_id"], reason="cancel")
    await asyncio.sleep(5)
    assert asked(bench) == [FIRST]
    assert bench.sink.of("calling.call.dial")[-1]["reason"] == "cancel"


async def test_a_dial_that_is_given_up_in_the_moment_of_a_failure_calls_nobody_else(bench):
    bench.engine.peers[FIRST] = NOBODY
    await dial(bench, sip("two.example"))
    await asyncio.sleep(0.2)
    [leg] = bench.engine._legs
    bench.engine.end_leg(leg, reports.LegEnded(leg=leg, by="none", cause="unreachable", status=503))
    bench.exchange.cancel_dials("session-1", "Its client is gone")
    await asyncio.sleep(5)
    assert asked(bench) == [FIRST]
    assert bench.engine._legs == {}
    assert not len(bench.exchange.calls)


async def test_only_addresses_that_are_allowed_are_tried(bench):
    await dial(bench, sip("half.example"))
    await bench.sink.when("calling.call.dial", dial_state="answered")
    assert asked(bench) == [SECOND]


async def test_of_a_name_with_many_addresses_eight_are_tried(bench):
    bench.engine.default_peer = NOBODY
    await dial(bench, sip("many.example"))
    await bench.sink.when("calling.call.dial", dial_state="failed")
    assert asked(bench) == [f"192.0.2.{number}:5060" for number in range(1, 9)]


async def test_a_call_to_a_trunk_with_two_addresses_is_one_call_for_its_caps(tmp_path):
    trunk = TrunkSettings("trunks.example", 5080, from_number="+15550000000", allow=["+1"], calls_at_once=1)
    async with open_bench(tmp_path, trunk=trunk) as bench:
        bench.engine.peers["198.51.100.1:5080"] = FULL
        await dial(bench, {"type": "phone", "params": {"to_number": "+15551234567"}})
        await bench.sink.when("calling.call.dial", dial_state="answered")
        assert asked(bench) == ["198.51.100.1:5080", "198.51.100.2:5080"]
        assert bench.exchange.caps.spending.calls(asyncio.get_running_loop().time()) == 1
        [call] = list(bench.exchange.calls)
        await bench.run("calling.end", call)
        await bench.ended(call)
        await asyncio.sleep(0)
        assert bench.exchange.caps._on_trunk == 0


async def test_devices_that_ring_together_each_go_through_their_addresses(bench):
    bench.engine.peers = {FIRST: NOBODY, SECOND: Peer(answer_after_s=2)}
    await dial(bench, sip("two.example"), {"type": "sip", "params": {"to": "sip:eve@two.example"}})
    await bench.sink.when("calling.call.dial", dial_state="answered")
    await asyncio.sleep(5)
    assert asked(bench) == [FIRST, FIRST, SECOND, SECOND]
    assert len(bench.exchange.calls) == 1
    assert len(bench.sink.of("calling.call.state", call_state="ended")) == 1
