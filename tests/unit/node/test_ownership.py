"""A whole node but its processes, on virtual time: who owns a call, whoever goes, and whenever."""

from __future__ import annotations

import asyncio

import pytest

from bench import NODE
from bench.scripts import ScriptOf
from offhook.node.calls import ports
from offhook.node.calls.action import Cause, Outcome
from offhook.node.calls.endings import Ending
from offhook.node.engine import ops, reports
from offhook.protocol.states import EndReason, EndSource
from offhook.testing.engine import Peer
from rig.whole import Client, WholeNode

pytestmark = pytest.mark.virtual_clock

BUSY = Peer(answer_after_s=1, status=486, reason="Busy Here")
SILENCE = [{"type": "silence", "params": {"duration": 1}}]


@pytest.fixture
async def node(tmp_path):
    node = WholeNode(tmp_path)
    await node.start()
    yield node
    await node.stop()


async def taken(node: WholeNode, client: Client, verb: str) -> str:
    """A call that came in and this client took, by ``accept`` or ``answer``: its id."""
    call_id = node.ring()
    await asyncio.sleep(0.1)
    assert await client.command(f"calling.{verb}", call_id) == "200"
    return call_id


async def crash(node: WholeNode) -> None:
    """The node is killed, and the next one is there."""
    await node.kill()
    await node.start()


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
    await crash(node)
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
    call_id = await taken(node, first, "accept")
    second = node.client("default")
    first.lose()
    await asyncio.sleep(4)
    assert second.heard(call_id) == ["receive"]
    await crash(node)
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
    await crash(node)
    first.attach()
    second.attach()
    assert await taker.command("calling.end", call_id) == "409"
    assert await other.command("calling.end", call_id) == "200"


async def test_a_client_that_took_a_call_and_did_not_come_back_after_a_crash_gives_it_back(node):
    """Nobody watched the owner of a call that was taken, not answered, and adopted: it rang for 120 s."""
    first = node.client("default")
    call_id = await taken(node, first, "accept")
    await crash(node)
    second = node.client("default")
    await asyncio.sleep(4)
    assert second.heard(call_id) == ["receive"]
    assert await second.command("calling.answer", call_id) == "200"


async def test_a_client_that_took_a_call_and_is_back_late_may_answer_it_when_nobody_else_did(node):
    only = node.client("default")
    call_id = await taken(node, only, "accept")
    await crash(node)
    await asyncio.sleep(6)
    only.attach()
    await asyncio.sleep(20)
    assert node.live() == [call_id]
    assert await only.command("calling.answer", call_id) == "200"


async def test_an_answered_call_that_the_journal_does_not_know_is_nobodys_and_ends(node, tmp_path):
    client = node.client("default")
    call_id = await taken(node, client, "answer")
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


# --- scripts -------------------------------------------------------------------------------------------------


async def scripted(node: WholeNode) -> ScriptOf:
    """A call that came in, and a script of the node took and answered: no client is needed."""
    call_id = node.ring()
    call = node.exchange.calls.find(call_id)
    script = ScriptOf(node.registry, call)
    node.exchange.desk.assign(call_id, script.controller)
    await call.answer([], 0.0)
    return script


async def test_a_script_controls_a_call_without_any_client(node):
    script = await scripted(node)
    play = await script.start("calling.play", control_id="p", play=SILENCE)
    assert await play.ended() == Outcome(Cause.FINISHED, {"state": "finished"})
    await asyncio.sleep(600)
    assert node.live() == [script.call.call_id], "the rules for clients that went are not for scripts"
    script.call.end(Ending(EndReason.HANGUP, EndSource.OUTBOUND))
    await asyncio.sleep(1)
    assert node.live() == []


async def test_the_clients_of_a_context_hear_nothing_of_a_call_that_a_script_controls_and_may_not_command_it(node):
    client = node.client("default")
    script = await scripted(node)
    call_id = script.call.call_id
    await asyncio.sleep(1)
    refused = await client.ask("calling.play", node_id=NODE, call_id=call_id, control_id="c", play=SILENCE)
    assert (refused["code"], "a script" in refused["message"]) == ("409", True)
    play = await script.start("calling.play", control_id="p", play=SILENCE)
    await play.ended()
    for method in ("calling.play.stop", "calling.end", "calling.pass"):
        assert await client.command(method, call_id, control_id="p") == "409"
    client.lose()
    await asyncio.sleep(130)
    assert node.live() == [call_id]
    assert client.heard(call_id) == []


async def test_a_script_takes_a_call_that_was_on_offer_and_its_clients_lose_it(node):
    client = node.client("default")
    call_id = node.ring()
    await asyncio.sleep(1)
    script = ScriptOf(node.registry, node.exchange.calls.find(call_id))
    node.exchange.desk.assign(call_id, script.controller)
    await asyncio.sleep(20)
    assert client.heard(call_id) == ["receive", "ended"]
    assert await client.command("calling.answer", call_id) == "409"
    await script.call.answer([], 0.0)
    await asyncio.sleep(130)
    assert client.heard(call_id) == ["receive", "ended"]
    assert node.live() == [call_id]


async def test_a_call_that_no_script_answers_rings_no_longer_than_others(node):
    call_id = node.ring()
    script = ScriptOf(node.registry, node.exchange.calls.find(call_id))
    node.exchange.desk.assign(call_id, script.controller)
    await asyncio.sleep(119)
    assert node.live() == [call_id]
    await asyncio.sleep(2)
    assert node.live() == []


async def test_a_call_that_a_client_controls_is_not_taken_by_a_script(node):
    client = node.client("default")
    call_id = await taken(node, client, "answer")
    node.exchange.desk.assign(call_id, ScriptOf(node.registry, node.exchange.calls.find(call_id)).controller)
    assert await client.command("calling.play", call_id, control_id="p", play=SILENCE) == "200"


async def test_a_script_goes_with_its_node_and_its_call_ends_unless_another_takes_it(node):
    client = node.client("default")
    left, taken_up = await scripted(node), await scripted(node)
    for script in (left, taken_up):
        await script.start("calling.play", control_id="p", play=[{"type": "silence", "params": {"duration": 500}}])
        await script.heard.when("calling.call.play", state="playing")
    await crash(node)
    await asyncio.sleep(1)
    calls = [script.call.call_id for script in (left, taken_up)]
    assert node.live() == calls
    assert [len(leg.running) for leg in node.engine._legs.values()] == [0, 0]
    client.attach()
    assert [await client.command("calling.end", call_id) for call_id in calls] == ["409", "409"]
    again = ScriptOf(node.registry, node.exchange.calls.find(calls[1]))
    node.exchange.desk.assign(calls[1], again.controller)
    await asyncio.sleep(130)
    assert node.live() == calls[1:]
    play = await again.start("calling.play", control_id="p", play=SILENCE)
    assert (await play.ended()).cause is Cause.FINISHED
    assert client.heard(calls[0]) == client.heard(calls[1]) == []


# --- dials of clients that went -----------------------------------------------------------------------------


async def test_what_clients_were_told_of_an_action_is_not_told_again_by_the_next_node(node):
    """A node that was killed between its journal and its ack to the engine: ``playing`` came twice."""
    client = node.client("default")
    call_id = await taken(node, client, "answer")
    song = [{"type": "silence", "params": {"duration": 20}}]
    for number in (1, 2):  # the second one has the name of the first, of which playing was told, too
        assert await client.command("calling.play", call_id, control_id="p", play=song) == "200"
        while client.heard(call_id).count("play") < 2 * number - 1:
            await asyncio.sleep(0.001)
        assert any(isinstance(kept, reports.OperationStarted) for kept in node.engine.kept), "it is not acked yet"
        await node.kill()
        await node.start()
        client.attach()
        await asyncio.sleep(5)
        assert client.heard(call_id).count("play") == 2 * number - 1
        assert await client.command("calling.play", call_id, control_id="p", play=song) == "200", "it runs already"
        assert client.heard(call_id).count("play") == 2 * number - 1
        await asyncio.sleep(20)
        assert client.heard(call_id).count("play") == 2 * number
    assert client.heard(call_id).count("answered") == 1


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
    assert list(client.ends().values()) == ["noAnswer", "cancel"]


async def test_a_leg_that_comes_to_a_client_after_it_went_for_good_is_hung_up_at_once(node):
    client = node.client("default")
    client.lose()
    await asyncio.sleep(121)
    call_id = node.ring()
    await asyncio.sleep(0.1)
    node.gateway.desk.assign(call_id, ports.Client(client.protocol))
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


# --- dials whose node is killed -------------------------------------------------------------------------------


async def test_a_dial_without_a_leg_when_its_node_is_killed_fails_with_a_sentence(node, monkeypatch):
    """Its client was told nothing, and waited for its own time-out."""
    asked = asyncio.Event()

    async def resolve(_host: str, _session: str) -> list[str]:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(node.exchange.planner, "_resolve", resolve)
    client = node.client("default")
    devices = [[{"type": "sip", "params": {"to": "sip:bob@pbx.example:5070"}}]]
    assert (await client.ask("calling.dial", tag="t", devices=devices))["code"] == "200"
    await asked.wait()
    assert node.engine.sent(ops.LegDial) == []
    await crash(node)
    client.attach()
    await asyncio.sleep(1)
    assert [told["dial_state"] for told in client.dial("t")] == ["dialing", "failed"]
    assert "dial again" in client.dial("t")[-1]["message"]
    await crash(node)
    client.attach()
    await asyncio.sleep(1)
    assert len(client.dial("t")) == 2, "once"


async def test_dials_that_are_over_or_go_on_are_not_told_to_have_failed_after_a_crash(node):
    node.engine.peers = {"sip:a@127.0.0.1": Peer(), "sip:b@127.0.0.1": Peer(answer_after_s=9), "sip:c@127.0.0.1": BUSY}
    client = node.client("default")
    for name in "abc":
        assert (await client.ask("calling.dial", tag=name, devices=[device(name)]))["code"] == "200"
    await asyncio.sleep(3)
    await crash(node)
    client.attach()
    await asyncio.sleep(10)
    outcomes = {name: [told["dial_state"] for told in client.dial(name)] for name in "abc"}
    answered = ["dialing", "answered"]
    assert outcomes == {"a": answered, "b": answered, "c": ["dialing", "failed"]}
    assert len(node.gateway.outbox.dials) == 0


async def test_a_dial_whose_only_leg_ended_while_no_node_was_there_fails_once_and_with_its_reason(node):
    node.engine.default_peer = Peer(answer_after_s=None)
    client = node.client("default")
    assert (await client.ask("calling.dial", tag="t", devices=[device("a")]))["code"] == "200"
    await asyncio.sleep(1)
    leg = node.leg_of(node.live()[0])
    await node.kill()
    node.engine.end_leg(leg, reports.LegEnded(leg=leg, by="remote", cause="rejected", status=486, reason="Busy"))
    await node.start()
    client.attach()
    await asyncio.sleep(1)
    assert [(told["dial_state"], told.get("reason")) for told in client.dial("t")] == [
        ("dialing", None),
        ("failed", "busy"),
    ]


async def test_a_dial_is_told_to_have_failed_when_the_node_stops(node):
    node.engine.default_peer = Peer(answer_after_s=None)
    client = node.client("default")
    assert (await client.ask("calling.dial", tag="t", devices=[device("a"), device("b")]))["code"] == "200"
    await asyncio.sleep(1)
    await node.stop()
    assert [told["dial_state"] for told in client.dial("t")] == ["dialing", "failed"]
    await node.start()


async def test_a_session_that_dials_is_kept_until_its_dial_is_over(tmp_path):
    node = WholeNode(tmp_path)
    node.gateway_settings = {"retention_s": 1.0, "sweep_s": 1.0}
    await node.start()
    node.engine.default_peer = Peer(answer_after_s=60)
    client = node.client("default")
    assert (await client.ask("calling.dial", tag="t", devices=[device("a")], timeout=90))["code"] == "200"
    client.lose()
    await asyncio.sleep(70)
    client.attach()
    [call_id] = node.live()
    assert await client.command("calling.end", call_id) == "200"
    await node.stop()
