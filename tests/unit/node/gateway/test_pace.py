"""Requests that come faster than their session may ask: taken later, in their order, rather than refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from gateway_rig import Node, play, settings

from offhook.node.calls.ports import Client
from offhook.node.gateway.pace import Pace
from offhook.node.gateway.tasks import Tasks
from offhook.protocol.frames import Request

pytestmark = pytest.mark.virtual_clock


@pytest.fixture
async def poor(make_node) -> AsyncIterator[Node]:
    """A node that gives new sessions no burst, only their 20 requests and 100 a second."""
    async with make_node(fresh_bursts_max=0) as node:
        yield node


def now() -> float:
    return asyncio.get_running_loop().time()


async def ask_many(client, count: int, method: str = "signalwire.ping", **params) -> list[str]:
    return [await client.ask(method, params, f"r{number}") for number in range(count)]


async def answers(client, ids: list[str], limit_s: float = 60.0) -> list[dict]:
    async with asyncio.timeout(limit_s):
        while not all(one in client.responses for one in ids):
            await asyncio.sleep(0.01)
    return [client.responses[one] for one in ids]


async def test_a_session_without_a_burst_that_asks_400_things_at_once_has_them_all_within_5_s(poor):
    """They got -32005 from the 21st on, which published SDKs do not send again."""
    async with poor.client() as client:
        began_at = now()
        replies = await answers(client, await ask_many(client, 400))
        assert [reply for reply in replies if "error" in reply] == []
        assert 3.5 < now() - began_at < 5.0


async def test_each_is_answered_before_its_client_gives_up_and_what_would_wait_longer_is_refused(poor):
    """Published SDKs drop the socket when a request has no reply for 10 s."""
    async with poor.client() as client:
        began_at = now()
        replies = await answers(client, await ask_many(client, 700))
        assert now() - began_at < 8.0
        refused = [reply for reply in replies if "error" in reply]
        assert 50 < len(refused) < 200
        assert {reply["error"]["code"] for reply in refused} == {-32005}
        assert "send slower" in refused[0]["error"]["message"]
        assert "result" in (await client.request("signalwire.ping", {}))


async def test_a_command_that_waited_for_its_turn_and_is_slow_then_is_answered_before_its_client_gives_up(poor):
    """Both waits together were up to 13 s; published SDKs drop the socket when a request has no reply for 10 s."""

    async def never(_params, _origin):
        await asyncio.Event().wait()

    poor.runner.script["calling.play"] = never
    async with poor.client() as client:
        poor.desk.assign("call", Client(client.hello["protocol"]))
        began_at = now()
        ids = await ask_many(client, 400, "calling.play", node_id="node-1", call_id="call")
        replies = await answers(client, ids)
        assert now() - began_at < 9.0
        assert all("may still take effect" in reply["result"]["message"] for reply in replies)


async def test_commands_that_come_too_fast_keep_their_order(poor):
    async with poor.client() as client:
        poor.desk.assign("call", Client(client.hello["protocol"]))
        ids = [
            await client.ask("calling.play", {"node_id": "node-1", "call_id": "call", "control_id": f"c{number}"})
            for number in range(200)
        ]
        await answers(client, ids)
        assert [params["control_id"] for _, params, _ in poor.runner.ran] == [f"c{number}" for number in range(200)]


async def test_acks_and_answers_to_pings_wait_behind_no_request(poor):
    """An ack that waits costs its client the next call."""
    async with poor.client() as client:
        poor.desk.assign("call", Client(client.hello["protocol"]))
        session = poor.gateway._sessions.get(client.hello["protocol"])
        ids = await ask_many(client, 400)
        poor.outbox.emit(play("call", 1))
        await client.event("calling.call.play")
        await asyncio.sleep(0.2)
        assert session.delivery.unacked == 0
        assert sum(one in client.responses for one in ids) < 100
        await answers(client, ids)


async def test_what_was_asked_before_the_socket_went_is_done_all_the_same(poor):
    async with poor.client() as client:
        poor.desk.assign("call", Client(client.hello["protocol"]))
        for _ in range(100):
            await client.ask("calling.play", {"node_id": "node-1", "call_id": "call"})
    await asyncio.sleep(2)
    assert len(poor.runner.ran) == 100


async def test_nothing_is_begun_after_the_end_of_the_gateway(make_node):
    async with make_node(fresh_bursts_max=0) as node, node.client() as client:
        node.desk.assign("call", Client(client.hello["protocol"]))
        for _ in range(400):
            await client.ask("calling.play", {"node_id": "node-1", "call_id": "call"})
        await asyncio.sleep(0.1)
    begun = len(node.runner.ran)
    await asyncio.sleep(10)
    assert begun < 400
    assert len(node.runner.ran) == begun


async def test_what_waits_is_bounded_in_bytes_and_nothing_more_is_read_before_it_is_paid_for():
    taken: list[object] = []
    tasks = Tasks()
    pace = Pace(settings(held_max_bytes=1000), tasks, lambda _request, frame_id, _at: taken.append(frame_id))
    began_at, pauses = now(), []
    for number in range(20):
        pause_s = pace.take(Request(number, "signalwire.ping", {}), number, 300, began_at + number / 10 - now())
        pauses.append(round(pause_s, 3))
        assert pace.held_bytes <= 1300
        await asyncio.sleep(pause_s)
    assert pauses[:5] == [0.0, 0.0, 0.0, 0.0, 0.4]
    assert sum(pauses) > 1.0
    await asyncio.sleep(5)
    assert (taken, pace.held_bytes) == (list(range(20)), 0)
    await tasks.close()


async def test_a_frame_that_is_large_is_paid_for_by_waiting_not_refused(poor):
    async with poor.client() as client:
        texts = [f"{'x' * 60_000}"] * 15
        began_at = now()
        assert "result" in await client.request("signalwire.ping", {"payload": "p", "padding": texts})
        assert now() - began_at > 0.2


async def test_a_request_that_fails_in_a_way_nobody_foresaw_holds_up_none_behind_it():
    taken: list[object] = []

    def take(_request: Request, frame_id: object, _at: float) -> None:
        if frame_id == 1:
            raise RuntimeError("unforeseen")
        taken.append(frame_id)

    tasks = Tasks()
    pace = Pace(settings(), tasks, take)
    for number in range(4):
        pace.take(Request(number, "signalwire.ping", {}), number, 300, 0.1)
    await asyncio.sleep(1)
    assert (taken, pace.held_bytes) == ([0, 2, 3], 0)
    await tasks.close()
