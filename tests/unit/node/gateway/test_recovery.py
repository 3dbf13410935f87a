"""node/gateway after a crash: lost calls and open verbs end once, adopted calls go on, nothing unacked is lost."""

from __future__ import annotations

import asyncio

import pytest
from gateway_rig import OfferedCall, play, state

from offhook.node.calls.ports import Client, OutgoingEvent, PastEnd

LIFECYCLE = [
    ("calling.play", "calling.call.play", {"state": "error"}, {"state": "finished"}),
    ("calling.record", "calling.call.record", {"state": "error"}, {"state": "no_input"}),
    ("calling.collect", "calling.call.collect", {"result": {"type": "error"}}, {"result": {"type": "no_match"}}),
    ("calling.play_and_collect", "calling.call.collect", {"result": {"type": "error"}}, {"result": {"type": "digit"}}),
    ("calling.send_digits", "calling.call.send_digits", {"state": "error"}, {"state": "finished"}),
]


def verb_event(event_type: str, control_id: str, **params) -> OutgoingEvent:
    given = {"node_id": "node-1", "call_id": "call", "control_id": control_id, **params}
    return OutgoingEvent(event_type, given, call_id="call")


async def test_each_lost_call_and_each_open_verb_ends_exactly_once(make_node):
    async with make_node() as node:
        async with node.client() as client:
            protocol = client.hello["protocol"]
            node.desk.assign("call", Client(protocol))
            node.outbox.emit(state("call", "answered"))
            for number, (method, event_type, _, terminal) in enumerate(LIFECYCLE):
                await client.command(method, "call", control_id=f"open-{number}")
                await client.command(method, "call", control_id=f"done-{number}")
                node.outbox.emit(verb_event(event_type, f"done-{number}", **terminal))
            await client.command("calling.play.volume", "call", control_id="open-0", volume=3)
            await client.until(lambda: len(client.all_events) == 6)
            await client.request("signalwire.ping", {})
        await node.journal.flushed()
        await node.crash()

    for _ in range(2):  # the second restart finds nothing left to end
        second = make_node()
        async with second:
            second.gateway.recover(adopted=set())
            await second.outbox.journalled()
            await second.crash()
    third = make_node()
    async with third, third.client(protocol=protocol) as client:
        got = [(await client.event())["params"] for _ in range(7)]
        assert got.pop(2)["params"]["state"] == "no_input"  # after a record's error, for the TypeScript client
        for number, (_, event_type, ending, _) in enumerate(LIFECYCLE):
            assert got[number]["event_type"] == event_type
            assert got[number]["params"] == {
                "node_id": "node-1",
                "call_id": "call",
                "control_id": f"open-{number}",
                **ending,
            }
        ended = got[5]["params"]
        assert (ended["call_state"], ended["end_reason"], ended["end_detail"]) == ("ended", "error", "node_failure")
        assert {"node_id", "call_id", "segment_id", "tag", "direction", "device"} <= ended.keys()
        assert [params["seq"] for params in got] == [7, 8, 10, 11, 12, 13]
        await client.request("signalwire.ping", {})
        assert not client.events


async def test_a_call_that_ended_meanwhile_ends_with_its_reason_after_its_verbs(make_node):
    async with make_node() as node:
        async with node.client() as client:
            protocol = client.hello["protocol"]
            node.desk.assign("call", Client(protocol))
            node.outbox.emit(state("call", "answered"))
            await client.command("calling.play", "call", control_id="open")
            await client.event()
            await client.request("signalwire.ping", {})
        await node.journal.flushed()
        await node.crash()
    second = make_node()
    async with second, second.client(protocol=protocol) as client:
        told = OutgoingEvent("calling.call.dial", {"tag": "t"}, tag="t", session=protocol)
        end = {"end_reason": "hangup", "end_source": "inbound", "end_time": 77}
        second.gateway.recover(adopted=set(), past={"call": PastEnd(end, [told])})
        got = [(await client.event())["params"]["params"] for _ in range(3)]
        assert sorted(params.get("state", params.get("tag", "")) for params in got[:2]) == ["error", "t"]
        assert got[2] | end == got[2]
        assert (got[2]["call_state"], "end_detail" in got[2]) == ("ended", False)


async def test_an_adopted_call_goes_on_with_its_owner_and_its_numbers(make_node):
    async with make_node() as node:
        async with node.client() as client:
            protocol = client.hello["protocol"]
            node.desk.assign("call", Client(protocol))
            node.outbox.emit(state("call", "answered"))
            await client.command("calling.play", "call", control_id="open")
            await client.command("calling.play", "call", control_id="done")
            node.outbox.emit(verb_event("calling.call.play", "done", state="finished"))
            await client.until(lambda: len(client.all_events) == 2)
            await client.request("signalwire.ping", {})
        await node.journal.flushed()
        await node.crash()
    second = make_node()
    async with second, second.client(protocol=protocol) as client, second.client() as stranger:
        second.gateway.recover(adopted={"call"})
        for control in ("open", "done"):  # the engine's label was older than the journal
            second.outbox.emit(verb_event("calling.call.play", control, state="error"))
        frame = await client.event()
        assert frame["params"]["params"]["control_id"] == "open"
        assert frame["params"]["seq"] == 3
        assert second.outbox.counts["repeated_ends"] == 1
        assert (await stranger.command("calling.end", "call"))["code"] == "409"
        await client.command("calling.play", "call", control_id="new")
        second.outbox.emit(verb_event("calling.call.play", "new", state="finished"))
        assert (await client.event())["params"]["params"]["control_id"] == "new"


async def test_events_emitted_before_a_crash_and_not_acked_come_after_it(make_node):
    async with make_node() as node:
        async with node.client() as client:
            client.acks = False
            protocol = client.hello["protocol"]
            node.desk.assign("call", Client(protocol))
            for number in range(300):
                node.outbox.emit(play("call", number))
            first = [await client.event() for _ in range(300)]
        for number in range(300, 320):
            node.outbox.emit(play("call", number))
        await node.outbox.journalled()
        await node.crash()
    second = make_node()
    async with second, second.client(protocol=protocol) as client:
        second.gateway.recover(adopted=set())
        again = [await client.event() for _ in range(320)]
        assert again[:300] == first
        assert [frame["params"]["seq"] for frame in again] == list(range(1, 321))


async def test_a_recovered_session_nobody_comes_back_to_is_an_orphan_too(make_node):
    async with make_node() as node:
        async with node.client() as client:
            node.desk.assign("call", Client(client.hello["protocol"]))
            node.outbox.emit(state("call", "answered"))
            await client.event()
        await node.journal.flushed()
        await node.crash()
    second = make_node(orphan_s=0.05)
    async with second:
        second.gateway.recover(adopted={"call"})
        async with asyncio.timeout(5):
            while not second.runner.ran:
                await asyncio.sleep(0.01)
        assert second.runner.methods() == ["calling.end"]


async def test_events_go_on_while_the_disk_is_full_and_none_is_lost_afterwards(node):
    async with node.client() as client:
        protocol = client.hello["protocol"]
        node.desk.assign("call", Client(protocol))
        node.fill_disk()
        client.acks = False
        for number in range(3):
            node.outbox.emit(play("call", number))
        first = [await client.event() for _ in range(3)]
        assert node.outbox.counts["unjournalled"] == 3
    node.outbox.emit(play("call", 3))
    waiting = asyncio.create_task(node.outbox.journalled())
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    node.free_disk()
    await asyncio.wait_for(waiting, 30)
    async with node.client(protocol=protocol) as client:
        again = [await client.event() for _ in range(4)]
        assert again[:3] == first


@pytest.mark.parametrize("count", [1, 40])
async def test_journalled_waits_for_what_a_command_holds_back(node, count):
    async with node.client() as client:
        node.desk.assign("call", Client(client.hello["protocol"]))
        begun, go = asyncio.Event(), asyncio.Event()

        async def answer(params, origin):
            for number in range(count):
                node.outbox.emit(play("call", number))
            begun.set()
            await go.wait()
            return {"code": "200", "message": "Answering"}

        node.runner.script["calling.answer"] = answer
        await client.ask("calling.answer", {"call_id": "call"}, "id-1")
        await begun.wait()
        waiting = asyncio.create_task(node.outbox.journalled())
        await client.request("signalwire.ping", {})
        assert not waiting.done()
        assert not client.events
        go.set()
        await asyncio.wait_for(waiting, 30)
        await client.until(lambda: len(client.events) == count)


async def test_a_lost_call_nobody_took_ends_for_who_was_asked(make_node):
    async with make_node() as node:
        async with node.client(contexts=["office"]) as client:
            protocol = client.hello["protocol"]
            call = OfferedCall()
            node.desk.offer(call)
            await client.event("calling.call.receive")
            await client.request("signalwire.ping", {})
        await node.journal.flushed()
        await node.crash()
    second = make_node()
    async with second, second.client(protocol=protocol) as client:
        second.gateway.recover(adopted=set())
        ended = (await client.event("calling.call.state"))["params"]["params"]
        assert (ended["call_id"], ended["call_state"], ended["end_detail"]) == (call.call_id, "ended", "node_failure")


async def test_an_adopted_call_on_offer_is_not_offered_twice_to_who_has_it(make_node):
    async with make_node() as node:
        async with node.client(contexts=["office"]) as client:
            protocol = client.hello["protocol"]
            call = OfferedCall()
            node.desk.offer(call)
            await client.event("calling.call.receive")
            await client.request("signalwire.ping", {})
        await node.journal.flushed()
        await node.crash()
    second = make_node()
    async with second:
        second.desk.offer(call)
        second.gateway.recover(adopted={call.call_id})
        async with second.client(protocol=protocol) as client:
            assert (await client.command("calling.answer", call.call_id))["code"] == "200"
            call.decide()
            assert not client.events


async def test_a_session_that_gives_its_place_away_while_its_replies_are_read_is_not_resumed(make_node):
    """It was connected all the same, was in no table, and got neither calls nor events."""
    async with make_node() as node:
        async with node.client() as client:
            protocol = client.hello["protocol"]
        await node.crash()

    async with make_node(sessions_max=1) as node:
        read, may_read = node.journal.replies, asyncio.Event()

        async def slowly(session):
            await may_read.wait()
            return await read(session)

        node.journal.replies = slowly
        async with node.client(connect=False) as back:
            connecting = asyncio.create_task(back.connect(protocol=protocol, contexts=["office"]))
            async with node.client():  # takes the only place
                may_read.set()
                refused = await connecting
                assert refused["error"]["code"] == -32005
        async with node.client(protocol=protocol, contexts=["office"]) as back:
            assert back.hello["session_restored"] is False
            node.desk.offer(OfferedCall("call"))
            await back.event("calling.call.receive")
