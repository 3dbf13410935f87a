"""A whole node but its processes, on virtual time: who owns a call, whoever goes, and whenever."""

from __future__ import annotations

import asyncio

import pytest

from offhook.node.engine import ops
from offhook.testing.engine import Peer
from rig.whole import WholeNode

pytestmark = pytest.mark.virtual_clock

SILENCE = [{"type": "silence", "params": {"duration": 1}}]


@pytest.fixture
async def node(tmp_path):
    node = WholeNode(tmp_path)
    await node.start()
    yield node
    await node.stop()


def device(name: str) -> list[dict[str, object]]:
    return [{"type": "sip", "params": {"to": f"sip:{name}@127.0.0.1"}}]


async def test_who_took_a_call_over_from_a_client_that_went_owns_it_after_a_crash_of_the_node(node):
    """The label of the call still named the first client, and every command of the second got 409."""
    first = node.client("default")
    call_id = node.ring()
    await asyncio.sleep(0.1)
    assert await first.command("calling.play", call_id, control_id="early", play=SILENCE) == "409"
    first.lose()
    second = node.client("default")
    await asyncio.sleep(4)
    assert await second.command("calling.answer", call_id) == "200"
    await node.kill()
    await node.start()
    await asyncio.sleep(1)
    second.attach()
    await asyncio.sleep(1)
    assert await second.command("calling.play", call_id, control_id="p", play=SILENCE) == "200"
    await asyncio.sleep(130)
    assert node.live() == [call_id], "the client that went long ago is no reason to hang up"
    assert "play" in second.heard(call_id)


async def test_who_is_offered_a_call_of_a_client_that_went_may_take_it_after_a_crash_of_the_node(node):
    """The label of the call still named the client that went: it got the call back, and the other one 409."""
    first = node.client("default")
    call_id = node.ring()
    await asyncio.sleep(0.1)
    assert await first.command("calling.accept", call_id) == "200"
    second = node.client("default")
    first.lose()
    await asyncio.sleep(4)
    assert second.heard(call_id) == ["receive"]
    await node.kill()
    await node.start()
    second.attach()
    await asyncio.sleep(1)
    assert await second.command("calling.answer", call_id) == "200"
    await asyncio.sleep(130)
    assert node.live() == [call_id]


async def test_a_call_that_was_passed_on_belongs_to_who_answered_it_after_a_crash_too(node):
    first, second = node.client("default"), node.client("default")
    call_id = node.ring()
    await asyncio.sleep(0.1)
    taker, other = (first, second) if first.heard(call_id) else (second, first)
    assert await taker.command("calling.pass", call_id) == "200"
    await asyncio.sleep(0.1)
    assert await other.command("calling.answer", call_id) == "200"
    await node.kill()
    await node.start()
    first.attach()
    second.attach()
    assert await taker.command("calling.end", call_id) == "409"
    assert await other.command("calling.end", call_id) == "200"


async def test_a_client_that_took_a_call_and_did_not_come_back_after_a_crash_gives_it_back(node):
    """Nobody watched the owner of a call that was taken, not answered, and adopted: it rang for 120 s."""
    first = node.client("default")
    call_id = node.ring()
    await asyncio.sleep(0.1)
    assert await first.command("calling.accept", call_id) == "200"
    await node.kill()
    await node.start()
    second = node.client("default")
    await asyncio.sleep(4)
    assert second.heard(call_id) == ["receive"]
    assert await second.command("calling.answer", call_id) == "200"


async def test_a_client_that_took_a_call_and_is_back_late_may_answer_it_when_nobody_else_did(node):
    only = node.client("default")
    call_id = node.ring()
    await asyncio.sleep(0.1)
    assert await only.command("calling.accept", call_id) == "200"
    await node.kill()
    await node.start()
    await asyncio.sleep(6)
    only.attach()
    await asyncio.sleep(20)
    assert node.live() == [call_id]
    assert await only.command("calling.answer", call_id) == "200"


async def test_an_answered_call_that_the_journal_does_not_know_is_nobodys_and_ends(node, tmp_path):
    client = node.client("default")
    call_id = node.ring()
    await asyncio.sleep(0.1)
    assert await client.command("calling.answer", call_id) == "200"
    await node.kill()
    for file in tmp_path.glob("journal*"):
        file.unlink()
    await node.start()
    stranger = node.client("default")
    assert await stranger.command("calling.end", call_id) == "409"
    await asyncio.sleep(119)
    assert node.live() == [call_id]
    await asyncio.sleep(10)
    assert node.live() == []


# --- dials of clients that went -----------------------------------------------------------------------------


async def test_a_client_that_goes_for_good_during_a_dial_leaves_no_call_behind(node):
    """The next device was still called; who answered it talked to nobody for four hours."""
    node.engine.peers = {"sip:a@127.0.0.1": Peer(answer_after_s=None), "sip:b@127.0.0.1": Peer(answer_after_s=1)}
    client = node.client("default")
    devices = [device("a"), device("b")]
    assert (await client.ask("calling.dial", tag="t", devices=devices, timeout=150))["code"] == "200"
    await asyncio.sleep(1)
    client.lose()
    await asyncio.sleep(118)
    assert len(node.live()) == 1
    for _ in range(10):
        await asyncio.sleep(1)
    assert node.live() == []
    await asyncio.sleep(60)
    assert node.live() == []
    assert node.exchange._dials == {}


async def test_a_dial_of_a_client_that_went_for_good_fails_with_a_sentence_and_calls_nobody_else(node):
    node.engine.default_peer = Peer(answer_after_s=None)
    client = node.client("default")
    devices = [device(name) for name in ("a", "b", "c")]
    assert (await client.ask("calling.dial", tag="t", devices=devices, timeout=70))["code"] == "200"
    await asyncio.sleep(1)
    client.lose()
    await asyncio.sleep(125)
    assert node.live() == []
    assert [dial.to_uri for dial in node.engine.sent(ops.LegDial)] == ["sip:a@127.0.0.1", "sip:b@127.0.0.1"]
    client.attach()
    await asyncio.sleep(2)
    states = [told["dial_state"] for told in client.dial("t")]
    assert states == ["dialing", "failed"]
    assert "120 s" in client.dial("t")[-1]["message"]


async def test_a_leg_that_comes_to_a_client_after_it_went_for_good_is_hung_up_at_once(node):
    client = node.client("default")
    client.lose()
    await asyncio.sleep(121)
    call_id = node.ring()
    await asyncio.sleep(0.1)
    node.gateway.desk.assign(call_id, client.protocol)
    await asyncio.sleep(1)
    assert node.live() == []


async def test_a_client_that_is_back_in_time_keeps_its_dial(node):
    node.engine.default_peer = Peer(answer_after_s=100)
    client = node.client("default")
    assert (await client.ask("calling.dial", tag="t", devices=[device("a")], timeout=150))["code"] == "200"
    await asyncio.sleep(1)
    client.lose()
    await asyncio.sleep(80)
    client.attach()
    await asyncio.sleep(200)
    assert [told["dial_state"] for told in client.dial("t")] == ["dialing", "answered"]
    assert len(node.live()) == 1


# --- answers that the engine refuses --------------------------------------------------------------------------


async def test_a_refused_answer_leaves_the_search_running_and_the_caller_hears_ringing(node):
    """The task of the offer ended while the answer was under way: nobody else was asked, no 180 was sent."""
    first, second = node.client("default"), node.client("default")
    call_id = node.ring()
    await asyncio.sleep(0.1)
    taker, other = (first, second) if first.heard(call_id) else (second, first)
    node.engine.reply_after_s = 0.2
    node.engine.refuse_next(ops.LegAnswer, "not_negotiated", "no codec fits")
    assert await taker.command("calling.answer", call_id) == "400"
    node.engine.reply_after_s = 0.0
    await asyncio.sleep(1)
    assert len(node.engine.sent(ops.LegRing)) == 1
    assert other.heard(call_id) == []
    assert await taker.command("calling.pass", call_id) == "200"
    await asyncio.sleep(0.1)
    assert other.heard(call_id) == ["receive"]
    assert await other.command("calling.answer", call_id) == "200"


async def test_an_owner_that_goes_after_its_answer_was_refused_gives_the_call_back(node):
    first = node.client("default")
    call_id = node.ring()
    await asyncio.sleep(0.1)
    second = node.client("default")
    node.engine.reply_after_s = 0.2
    node.engine.refuse_next(ops.LegAnswer)
    assert await first.command("calling.answer", call_id) == "500"
    first.lose()
    await asyncio.sleep(4)
    assert second.heard(call_id) == ["receive"]


async def test_an_owner_that_goes_while_its_answer_is_under_way_keeps_the_call_that_it_answered(node):
    first, second = node.client("default"), node.client("default")
    call_id = node.ring()
    await asyncio.sleep(0.1)
    taker, other = (first, second) if first.heard(call_id) else (second, first)
    node.engine.reply_after_s = 4.0
    answering = asyncio.create_task(taker.command("calling.answer", call_id))
    await asyncio.sleep(0.1)
    taker.lose()
    await asyncio.sleep(4.5)
    node.engine.reply_after_s = 0.0
    assert other.heard(call_id) == []
    taker.attach()
    await asyncio.sleep(1)
    assert taker.heard(call_id)[-1] == "answered"
    assert await taker.command("calling.end", call_id) == "200"
    assert await answering == "200"


async def test_a_refused_answer_and_nothing_more_ends_at_the_limit_of_ringing(node):
    only = node.client("default")
    call_id = node.ring()
    await asyncio.sleep(0.1)
    node.engine.reply_after_s = 0.2
    node.engine.refuse_next(ops.LegAnswer)
    assert await only.command("calling.answer", call_id) == "500"
    await asyncio.sleep(121)
    assert node.live() == []
    assert only.ends() == {call_id: "noAnswer"}
