"""Our SDK on our gateway over a socket that is cut again and again: events once and in order, one effect a command."""

from __future__ import annotations

import asyncio
import functools
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from offhook.client.session.session import SessionSettings

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "node" / "gateway"))

from gateway_rig import PROJECT, TOKEN, Node, OfferedCall, play, state

CUTS = 30
EVENTS = 300
COMMANDS = 200


@pytest.fixture(autouse=True)
def short_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = functools.partial(SessionSettings, backoff_min_s=0.001, backoff_max_s=0.002)
    monkeypatch.setattr("offhook.client.app.relay.SessionSettings", quick)


async def cut(node: Node, client: RelayClient, turns: int) -> None:
    """Abort the socket some turns of the loop after it is up, and return when the client noticed."""
    while not client.is_connected:
        await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    for connection in list(node.gateway._connections):
        connection.abort()
    while client.is_connected:
        await asyncio.sleep(0)


async def answered_call(node: Node, client: RelayClient) -> tuple[Call, OfferedCall]:
    caught: asyncio.Future[Call] = asyncio.get_running_loop().create_future()

    @client.on_call
    async def handle(call: Call) -> None:
        caught.set_result(call)  # a second run for the same call would raise

    offered = OfferedCall()
    node.desk.offer(offered)
    call = await asyncio.wait_for(caught, 5)
    await call.answer()
    offered.decide()
    return call, offered


async def test_events_arrive_once_and_in_order_through_thirty_cuts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dice = random.Random(20)
    async with Node(tmp_path) as node, RelayClient(PROJECT, TOKEN, f"ws://127.0.0.1:{node.port}", ["office"]) as client:
        call, _ = await answered_call(node, client)
        seen: list[str] = []
        call.on("calling.call.play", lambda event: seen.append(event.control_id))
        cuts = set(dice.sample(range(EVENTS), CUTS))
        for number in range(EVENTS):
            node.outbox.emit(play(call.call_id, number))
            if number in cuts:
                await cut(node, client, dice.randrange(20))
            elif dice.random() < 0.2:
                await asyncio.sleep(0.001)
        node.outbox.emit(state(call.call_id, "ended", end_reason="hangup", end_source="inbound"))
        ended = await call.wait_for_ended(20)
        assert ended.cause is None
        assert seen == [f"control-{number}" for number in range(EVENTS)]
        assert client._tasks.failures == 0
    assert caplog.text.count("connection lost") >= CUTS


async def test_commands_have_one_effect_and_one_reply_through_cuts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dice = random.Random(21)
    async with Node(tmp_path) as node, RelayClient(PROJECT, TOKEN, f"ws://127.0.0.1:{node.port}", ["office"]) as client:
        call, _ = await answered_call(node, client)

        async def ask(number: int) -> None:
            result = await call.send_digits("1", control_id=f"control-{number}")
            assert result["code"] == "200"

        async def chop() -> None:
            for _ in range(CUTS):
                await cut(node, client, dice.randrange(50))

        chopping = asyncio.create_task(chop())
        for first in range(0, COMMANDS, 5):
            await asyncio.gather(*(ask(number) for number in range(first, first + 5)))
            await asyncio.sleep(0.002)
        await chopping
        effects = Counter(
            params["control_id"] for method, params, _ in node.runner.ran if method == "calling.send_digits"
        )
        assert effects == {f"control-{number}": 1 for number in range(COMMANDS)}
    assert caplog.text.count("connection lost") >= CUTS


async def test_a_call_whose_end_the_node_could_not_keep_ends_and_one_that_lives_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stayed in ``client.calls`` for ever, its handler too: the node said so, and nobody listened."""
    monkeypatch.setattr("offhook.client.actions.call_base._GONE_GRACE_S", 0.05)
    async with (
        Node(tmp_path, retention_max_events=3) as node,
        RelayClient(PROJECT, TOKEN, f"ws://127.0.0.1:{node.port}", ["office"]) as client,
    ):
        over, _ = await answered_call(node, client)
        lives, _ = await answered_call(node, client)
        ended, runs = [await lives.play_silence(60, control_id=f"control-{number}") for number in (1, 2)]
        for connection in list(node.gateway._connections):
            connection.abort()
        node.outbox.emit(state(over.call_id, "ended", end_reason="hangup", end_source="inbound"))
        finished = play(lives.call_id, 1)
        finished.params["state"] = "finished"
        node.outbox.emit(finished)
        for _ in range(3):
            node.outbox.emit(play(lives.call_id, 2))
        assert (await over.wait_for_ended(20)).cause == "gone"
        assert (await ended.wait(20)).cause == "gone"
        assert client.calls == [lives]
        assert not runs.is_done
        finished = play(lives.call_id, 2)
        finished.params["state"] = "finished"
        node.outbox.emit(finished)
        assert (await runs.wait(20)).cause is None
