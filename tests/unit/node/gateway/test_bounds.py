"""What a client's ids, keys, lists and control frames may cost, before anything is kept of them."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from gateway_rig import connect_params, play, settings

from offhook.node.calls.ports import Client, OutgoingEvent
from offhook.node.gateway.ledger import Ledger, key_of
from offhook.node.gateway.limits import Allowance, Share, TokenBucket
from offhook.node.gateway.sessions import Subscribed
from offhook.node.store.port import StoredReply
from offhook.node.web.crowd import CrowdLimits
from offhook.node.web.door import DoorSettings


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        ({"id": "i" * 257, "method": "signalwire.ping"}, "`id` of at most 256 characters"),
        ({"id": 10**300, "method": "signalwire.ping"}, "`id` of at most 256 characters"),
        ({"id": "i" * 257, "result": 5, "method": 7}, "`id` of at most 256 characters"),
        ({"id": "x", "method": "signalwire.ping", "params": {"k" * 257: 1}}, "a key in this frame is longer than 256"),
        ({"id": "x", "method": "signalwire.ping", "params": {"a": {"b": [{"k" * 257: 1}]}}}, "a key in this frame"),
        ({"id": "x", "method": "signalwire.ping", "params": {"a": [0] * 20_001}}, "more than 20000 values"),
        ({"id": "x", "method": "signalwire.ping", "params": {"a": [[[0] * 100] * 100] * 3}}, "more than 20000 values"),
        ({"id": "x", "method": "m" * 257}, "`method`"),
    ],
)
async def test_what_would_be_kept_or_walked_is_bounded_and_refused_with_a_sentence(node, frame, sentence):
    async with node.client() as client:
        await client.send({"jsonrpc": "2.0", **frame})
        await client.until(lambda: any("error" in frame for frame in client.frames))
        refusals = [frame for frame in client.frames if "error" in frame]
        assert refusals[0]["error"]["code"] in (-32600, -32601)
        assert sentence in refusals[0]["error"]["message"]
        assert len(json.dumps(refusals[0])) < 1000, "what was too long is not echoed"
        assert (await client.request("signalwire.ping", {}))["result"] == {}


@pytest.mark.parametrize("frame_id", ["i" * 256, 10**200, -(10**200), 0, "", "#1"])
async def test_an_id_within_the_bound_is_echoed_as_it_came(node, frame_id):
    async with node.client() as client:
        assert (await client.request("signalwire.ping", {}, frame_id))["id"] == frame_id


async def test_a_text_that_looks_like_the_key_of_a_number_is_another_id(node):
    async with node.client() as client:
        await client.command("calling.play", "call", 1, control_id="a")
        await client.command("calling.play", "call", "#1", control_id="b")
        await client.command("calling.play", "call", "##1", control_id="c")
    assert [params["control_id"] for _, params, _ in node.runner.ran] == ["a", "b", "c"]


def test_every_id_has_a_key_of_its_own():
    ids = [1, -1, "1", "#1", "#-1", "##1", "###1", "", "#", "##", 0, "0", "#0"]
    assert len({key_of(frame_id) for frame_id in ids}) == len(ids)


def test_the_key_of_an_ordinary_text_is_the_text_as_journals_have_it():
    assert key_of("0191-abc") == "0191-abc"
    assert key_of(7) == "#7"


async def test_replies_are_bounded_in_bytes_and_the_oldest_goes_first():
    dropped = []
    ledger = Ledger(100, 10_000, lambda key, _at: dropped.append(key))
    for number in range(20):
        ledger.settle(f"id-{number}", ledger.begin(f"id-{number}", float(number)), "r" * 1000)
    assert ledger.find("id-0") is None
    assert ledger.find("id-19") is not None
    assert dropped == [f"id-{number}" for number in range(len(dropped))]
    assert sum(ledger.find(f"id-{number}") is not None for number in range(20)) == 7


async def test_replies_of_a_journal_are_bounded_too():
    ledger = Ledger(100, 10_000, lambda _key, _at: None)
    ledger.restore((StoredReply("s", f"id-{number}", "r" * 1000, float(number)) for number in range(20)), 0.0)
    assert sum(ledger.find(f"id-{number}") is not None for number in range(20)) == 7


async def test_a_reply_that_is_no_longer_remembered_is_not_in_the_journal_either(make_node):
    async with make_node(reply_ids_max=3) as node, node.client() as client:
        for number in range(5):
            await client.command("calling.play", "call", f"id-{number}")
        kept = await node.journal.replies(client.hello["protocol"])
        assert [reply.request_id for reply in kept] == ["id-2", "id-3", "id-4"]


async def test_a_repetition_is_known_by_a_hash_not_by_a_copy_of_its_params(node):
    async with node.client() as client:
        params = {f"key-{number}": "x" * 60_000 for number in range(10)}
        await client.command("calling.play", "call", control_id="k", **params)
    starts = node.gateway._commands._repeats._starts
    assert len(starts) == 1
    assert "xxxxxxxx" not in repr(list(starts.values()))


@pytest.mark.parametrize("method", ["signalwire.receive", "signalwire.unreceive"])
async def test_the_name_of_a_context_has_a_bound(node, method):
    async with node.client() as client:
        error = (await client.request(method, {"contexts": ["c" * 256]}))["error"]
        assert error["code"] == -32602
        assert "255 characters" in error["message"]
    async with node.client(connect=False) as client:
        error = (await client.request("signalwire.connect", connect_params(contexts=["c" * 256])))["error"]
        assert "255 characters" in error["message"]


def test_contexts_that_were_ever_subscribed_to_are_bounded_and_the_latest_are_known():
    known = Subscribed(100)
    for number in range(1000):
        known.add([f"context-{number}", "always"])
    assert "always" in known
    assert "context-999" in known
    assert "context-0" not in known
    assert len(known) == 100


def test_a_large_frame_takes_tokens_by_its_size_and_they_are_paid_by_waiting():
    bucket = TokenBucket(100.0, 600)
    bucket.spend(0.0, 64)
    assert bucket.wait_s(0.0, 0.0) == 0.0
    bucket.spend(0.0, 600)
    assert bucket.wait_s(0.0, 0.0) == pytest.approx(0.64)
    assert not bucket.take(0.5)
    assert bucket.take(0.7)


def taken(allowance: Allowance, now: float, calls: int = 0) -> int:
    """How many requests it may ask at once."""
    allowance.look(now, calls)
    count = 0
    while allowance.take(now):
        count += 1
    return count


def test_sessions_of_one_token_share_its_rate_however_many_there_are():
    limits = settings(requests_per_s_per_token=200.0, requests_burst_per_token=1000)
    share = Share(limits)
    ten = [Allowance(limits, share, is_burst=True) for _ in range(10)]
    assert sum(taken(one, 0.0) for one in ten) == 1000, "each has 600 of its own, all have 1000"
    assert sum(taken(one, second) for second in range(1, 11) for one in ten) == 2000
    assert "200 requests a second of all with this token" in ten[-1].excess(10.0)
    other = Allowance(limits, Share(limits), is_burst=True)
    assert taken(other, 10.0) == 600


def test_what_live_calls_earn_is_earned_for_all_of_the_token():
    """Fifty clients with twenty calls each are no flood."""
    limits = settings(requests_per_s_per_token=200.0, requests_burst_per_token=1000)
    share = Share(limits)
    clients = [Allowance(limits, share, is_burst=True) for _ in range(50)]
    for one in clients:
        taken(one, 0.0, calls=20)
    for second in range(1, 6):
        for one in clients:
            one.look(second, 20)
            assert all(one.take(second) for _ in range(200)), second


def test_who_spent_the_share_on_credit_waits_for_it():
    limits = settings(requests_per_s_per_token=200.0, requests_burst_per_token=1000)
    share = Share(limits)
    first, second = (Allowance(limits, share, is_burst=True) for _ in range(2))
    first.look(0.0, 0)
    assert first.spend(0.0, 1100) == pytest.approx(5.0), "of its own it owes 500"
    assert second.spend(0.0, 100) == pytest.approx(1.0), "of all 200 are owed"


@pytest.mark.virtual_clock
async def test_more_clients_are_not_served_more_beyond_the_share_of_their_token(make_node):
    limits = {"requests_per_s_per_token": 10.0, "requests_burst_per_token": 30, "held_max_s": 1.0}
    async with make_node(**limits) as node, node.client() as first, node.client() as second:
        answers = []
        for client in (first, second):
            ids = [await client.ask("signalwire.ping", {}, f"p{number}") for number in range(40)]
            await client.until(lambda client=client, ids=ids: all(one in client.responses for one in ids))
            answers += [client.responses[one] for one in ids]
    served = sum("result" in one for one in answers)
    assert 38 <= served <= 60, served
    refusals = [one["error"] for one in answers if "error" in one]
    assert {one["code"] for one in refusals} == {-32005}
    assert "10 requests a second of all with this token" in refusals[-1]["message"]


async def test_large_frames_are_read_slower_and_small_ones_of_others_at_once(make_node):
    async with make_node(requests_per_s=100.0, requests_burst=20) as node, node.client() as client:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        for _ in range(3):
            await client.send({"id": "x", "result": {"padding": "x" * 1_000_000}})
        await client.request("signalwire.ping", {})
        assert loop.time() - began_at > 0.6


@pytest.mark.parametrize("kind", ["ping", "pong"])
async def test_control_frames_take_tokens_like_requests(make_node, kind):
    """A flood of them is read 50 times a second, as one of requests is."""
    async with make_node(requests_per_s=1.0, requests_burst=20) as node, node.client() as client:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        for _ in range(40):
            await getattr(client.socket, kind)(b"")
        await client.request("signalwire.ping", {})
        assert loop.time() - began_at > 0.3


# --- before connect ---


async def _sent_away(client) -> dict:
    await client.until(client.closed.is_set)
    assert client.socket.close_code == 1008
    return [frame for frame in client.frames if "error" in frame][-1]


async def test_a_stranger_that_sends_much_in_one_message_is_sent_away_unread(node):
    async with node.client(connect=False) as client:
        await client.socket.send_str("[" * ((64 << 10) + 1))
        refusal = await _sent_away(client)
        assert refusal["error"]["code"] == -32005
        assert "65536 bytes before signalwire.connect" in refusal["error"]["message"]


@pytest.mark.parametrize("text", ['{"id":"p","method":"signalwire.ping"}', "{", '{"id":"stray","result":{}}', ""])
async def test_a_stranger_that_sends_many_messages_is_sent_away(node, text):
    async with node.client(connect=False) as client:
        for _ in range(11):
            await client.socket.send_str(text)
        assert "too many frames" in (await _sent_away(client))["error"]["message"]


@pytest.mark.parametrize("kind", ["ping", "pong"])
async def test_a_stranger_that_sends_many_control_frames_is_sent_away(node, kind):
    async with node.client(connect=False) as client:
        for _ in range(11):
            await getattr(client.socket, kind)(b"")
        assert "too many frames" in (await _sent_away(client))["error"]["message"]


async def test_a_program_that_pings_before_and_after_it_connects_is_served(node):
    async with node.client(connect=False) as client:
        await client.socket.ping(b"x")
        await client.connect(contexts=["c" * 200 + str(number) for number in range(250)])
        for _ in range(50):
            await client.socket.ping(b"x")
        assert (await client.request("signalwire.ping", {}))["result"] == {}


# --- sessions ---


async def test_more_sessions_than_there_are_places_are_refused_and_those_that_are_there_may_resume(make_node):
    async with make_node(sessions_max=2) as node, node.client() as first, node.client():
        async with node.client(connect=False) as third:
            error = (await third.connect())["error"]
            assert error["code"] == -32005
            assert "limits.sessions" in error["message"]
        protocol = first.hello["protocol"]
        async with node.client(protocol=protocol) as again:
            assert again.hello["session_restored"]


async def test_a_new_session_takes_the_place_of_the_one_lost_longest_that_has_no_call(make_node):
    async with make_node(sessions_max=3) as node:
        protocols = []
        for _ in range(3):
            async with node.client() as client:
                protocols.append(client.hello["protocol"])
        node.desk.assign("call", Client(protocols[0]))
        async with node.client() as client:
            assert "error" not in client.hello
        kept = [session.protocol for session in node.gateway._sessions]
        assert protocols[0] in kept, "it controls a call"
        assert protocols[1] not in kept
        assert protocols[2] in kept
        assert (await node.journal.replies(protocols[1])) == []


async def test_an_event_on_its_way_to_a_session_that_goes_is_not_kept_for_it(node):
    """Its bytes were taken from those of all sessions, and never given back."""
    async with node.client() as client:
        sessions = node.gateway._sessions
        session = sessions.get(client.hello["protocol"])
    params = {"node_id": "node-1", "tag": "tag", "dial_state": "dialing"}
    node.outbox.emit(OutgoingEvent("calling.call.dial", params, tag="tag", session=session.protocol))
    sessions._drop(session)
    await node.outbox.journalled()
    await asyncio.sleep(0)
    assert (session.delivery.unacked, session.delivery.kept_bytes, sessions._events._used_bytes) == (0, 0, 0)


@pytest.mark.virtual_clock
async def test_a_new_session_is_no_new_burst_for_ever(make_node):
    limits = {"requests_per_s": 1.0, "requests_burst": 50, "fresh_bursts_max": 2, "fresh_requests": 5}
    limits["fresh_bursts_per_s"] = 0.001
    async with make_node(**limits) as node:
        served = []
        for _ in range(4):
            async with node.client() as client:
                ids = [await client.ask("signalwire.ping", {}, f"p{number}") for number in range(30)]
                await client.until(lambda client=client, ids=ids: all(one in client.responses for one in ids))
                served.append(sum("result" in client.responses[one] for one in ids))
    assert served[:2] == [30, 30]
    assert all(3 <= count <= 15 for count in served[2:]), served


async def test_a_stranger_whose_message_is_larger_than_the_door_lets_in_is_told_so(node):
    """It is closed before the message is whole: nothing of it is put together, parsed or walked."""
    async with node.client(connect=False) as client:
        await client.socket.send_str("x" * 500_000)
        await client.until(client.closed.is_set)
        assert client.socket.close_code == 1008
        assert node.door.strangers <= 1


async def test_a_client_that_sends_more_bytes_than_are_ever_read_in_that_time_is_cut(make_node):
    node = make_node(requests_per_s=1e6, requests_burst=1000)
    node.door_settings = DoorSettings(window_bytes=300_000, window_s=60.0)
    async with node, node.client() as client, node.client() as other:
        for _ in range(5):
            await client.send({"id": "x", "result": {"padding": "x" * 100_000}})
        await client.until(client.closed.is_set)
        assert client.socket.close_code == 1008
        assert (await other.request("signalwire.ping", {}))["result"] == {}


async def test_a_client_that_connected_is_no_stranger_at_the_door(make_node):
    node = make_node()
    node.door_settings = DoorSettings(crowd=CrowdLimits(strangers=2, patience_s=0.0), stranger_bytes=5000)
    async with node, node.client() as client:
        assert node.door.strangers == 0
        for _ in range(6):
            async with node.client(connect=False):
                pass
        for _ in range(3):
            await client.request("signalwire.ping", {"payload": "x" * 5000})


async def test_eight_sockets_that_never_connect_do_not_keep_a_program_out(make_node):
    """256 silent WebSockets locked every client out with 503 for as long as they were renewed."""
    node = make_node()
    node.door_settings = DoorSettings(crowd=CrowdLimits(strangers=8, patience_s=0.2))
    async with node, contextlib.AsyncExitStack() as silent:
        for _ in range(8):
            await silent.enter_async_context(node.client(connect=False))
        async with asyncio.timeout(30), node.client() as client:
            assert client.hello["protocol"]


async def test_replies_of_all_sessions_together_are_bounded_and_who_has_most_pays(make_node):
    async with make_node(reply_total_bytes=20_000) as node, node.client() as modest, node.client() as greedy:
        await modest.command("calling.play", "call", "mine")
        for number in range(100):
            await greedy.command("calling.play", "call", f"id-{number}")
        await modest.command("calling.play", "call", "mine")
        assert len(node.runner.ran) == 101, "the modest one's is remembered"
        kept = [session.ledger.size_bytes for session in node.gateway._sessions]
        assert 10_000 < sum(kept) <= 20_000


async def test_unacked_events_of_all_sessions_together_are_bounded_and_who_has_most_pays(make_node):
    async with make_node(retention_total_bytes=50_000) as node:
        async with node.client() as modest, node.client() as greedy:
            names = modest.hello["protocol"], greedy.hello["protocol"]
        sessions = [node.gateway._sessions.get(name) for name in names]
        node.desk.assign("modest", Client(names[0]))
        node.desk.assign("greedy", Client(names[1]))
        node.outbox.emit(play("modest", 0))
        for number in range(300):
            node.outbox.emit(play("greedy", number))
        await node.outbox.journalled()
        await asyncio.sleep(0)
        assert sessions[0].delivery.unacked == 1
        assert 20 < sessions[1].delivery.unacked < 200
        assert sessions[1].delivery.truncation.first == 1
        assert sum(session.delivery.kept_bytes for session in sessions) <= 50_000
        node.gateway._sessions._drop(sessions[1])
        for number in range(20):
            node.outbox.emit(play("modest", number))
        await node.outbox.journalled()
        assert sessions[0].delivery.unacked == 21, "what a session kept is given back when it goes"
