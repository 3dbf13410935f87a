"""Calls, actions and messages with servers that lose events, repeat ids, or tell of calls that are not ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from offhook.client.actions.action import Action
from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from offhook.client.calls.messages import Message
from offhook.errors import ConnectionLost, DialFailed, RelayError
from rig.memory_node import NODE_ID, MemoryNode
from rig.sdk_commands import PHONE

pytestmark = pytest.mark.virtual_clock


class Stage:
    """A client, connected to a node in memory that takes every request unless it is mute."""

    def __init__(self) -> None:
        self.node = MemoryNode()
        self.client = RelayClient("project", "token", "ws://localhost:1", ["default"], max_active_calls=3)
        self.client._make_driver = self.node.make_driver  # type: ignore[method-assign]
        self.client.on_call(self.handle)
        self.calls: dict[str, Call] = {}
        self.is_mute = False
        self.is_away = False

    async def handle(self, call: Call) -> None:
        self.calls[call.call_id] = call
        await call.wait_for_ended()

    async def serve(self) -> None:
        while True:
            if not self.is_away:
                self.node.open(forget=False)
            while self.node.inbox and not self.is_mute:
                self.node.handle(200)
            await asyncio.sleep(0.01)

    async def call(self, call_id: str = "c1") -> Call:
        self.node.tell("calling.call.receive", call_id=call_id, call_state="created", direction="inbound")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return self.calls[call_id]

    def tell(self, event_type: str, call_id: str = "c1", **params: Any) -> None:
        self.node.tell(event_type, call_id=call_id, **params)

    def state(self, state: str, call_id: str = "c1", **params: Any) -> None:
        self.tell("calling.call.state", call_id, call_state=state, **params)

    def bridged(self, state: str, peer: str, call_id: str = "c1") -> None:
        self.tell("calling.call.connect", call_id, connect_state=state, peer={"call_id": peer, "node_id": NODE_ID})

    async def play(self, call: Call, control_id: str) -> Action:
        return await call.play_silence(1, control_id=control_id)

    async def away_for(self, seconds: float) -> None:
        self.is_away = True
        self.node.cut()
        await asyncio.sleep(seconds)

    async def truncate(self, calls: Any) -> None:
        self.node.tell("signalwire.events_truncated", **{"from": 1, "to": 9, "calls": calls})
        await asyncio.sleep(0.01)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    serving = asyncio.create_task(stage.serve())
    await stage.client.connect()
    yield stage
    await stage.client.disconnect(0)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


def ids(stage: Stage) -> list[str]:
    return sorted(call.call_id for call in stage.client.calls)


# --- events that were lost ----------------------------------------------------------------------------------------


async def test_a_call_whose_end_was_truncated_ends_and_frees_its_place(stage: Stage) -> None:
    """It stayed for ever, with its handler, and took one of ``max_active_calls``."""
    for call_id in ("c1", "c2", "c3"):
        await stage.call(call_id)
    await stage.truncate({"c3": []})
    await asyncio.sleep(5)
    assert ids(stage) == ["c3"]
    for call_id in ("c1", "c2"):
        assert (await stage.calls[call_id].wait_for_ended(timeout=1)).cause == "gone"
    assert await stage.call("c4")


async def test_an_end_that_is_still_on_its_way_is_what_the_program_gets(stage: Stage) -> None:
    call = await stage.call()
    await stage.truncate({})
    stage.state("ended", end_reason="hangup")
    event = await call.wait_for_ended(timeout=1)
    assert (event.cause, event.end_reason) == (None, "hangup")


async def test_an_action_whose_end_was_truncated_ends_and_those_that_run_go_on(stage: Stage) -> None:
    call = await stage.call()
    over, runs = await stage.play(call, "k1"), await stage.play(call, "k2")
    starting = asyncio.create_task(stage.play(call, "k3"))
    stage.is_mute = True
    await asyncio.sleep(0)
    await stage.truncate({"c1": ["k2"]})
    stage.is_mute = False
    assert (await over.wait(timeout=10)).cause == "gone"
    await asyncio.sleep(60)
    assert not runs.is_done
    assert not (await starting).is_done, "what was not accepted yet could not be told"
    assert ids(stage) == ["c1"]
    stage.tell("calling.call.play", control_id="k2", state="finished")
    assert (await runs.wait(timeout=1)).cause is None


async def test_a_server_that_does_not_say_what_lives_leaves_nothing_that_waits(stage: Stage) -> None:
    call, other = await stage.call(), await stage.call("c2")
    action = await stage.play(call, "k1")
    await stage.truncate(None)
    stage.state("ended", "c2", end_reason="hangup")
    assert (await other.wait_for_ended(timeout=1)).end_reason == "hangup"
    assert (await action.wait(timeout=10)).cause == "gone"
    assert ids(stage) == []
    await call.hangup()
    assert "calling.end" in stage.node.done, "the call may live on there"


# --- a node that is away for long -----------------------------------------------------------------------------------


async def test_no_wait_lasts_longer_than_a_node_can_keep_its_events(stage: Stage) -> None:
    call = await stage.call()
    action = await stage.play(call, "k1")
    waits = [asyncio.create_task(one) for one in (action.wait(), call.wait_for("custom"), call.wait_for_ended())]
    await stage.away_for(500)
    assert not any(wait.done() for wait in waits)
    await asyncio.sleep(200)
    assert [wait.result().cause for wait in waits] == ["gone"] * 3


async def test_a_request_does_not_wait_longer_than_two_minutes_for_a_node(stage: Stage) -> None:
    call = await stage.call()
    await stage.away_for(1)
    with pytest.raises(ConnectionLost, match="no connection for 120 s; it was not sent"):
        await asyncio.wait_for(call.answer(), 130)


# --- a control_id in use ----------------------------------------------------------------------------------------


async def test_a_control_id_in_use_is_refused_and_its_action_still_ends(stage: Stage) -> None:
    """The first action was forgotten: neither its own end nor the call's ended its wait."""
    call = await stage.call()
    first = await stage.play(call, "prompt")
    with pytest.raises(RelayError, match="`control_id` belongs to a running play: choose another") as refused:
        await stage.play(call, "prompt")
    assert refused.value.code == 409
    stage.tell("calling.call.play", control_id="prompt", state="finished")
    assert (await first.wait(timeout=1)).cause is None
    assert await stage.play(call, "prompt"), "it is free again"


async def test_one_that_another_verb_uses_is_refused_too_and_ends_with_the_call(stage: Stage) -> None:
    call = await stage.call()
    first = await call.record(control_id="k1")
    with pytest.raises(RelayError, match="belongs to a running record"):
        await stage.play(call, "k1")
    stage.state("ended")
    assert (await first.wait(timeout=1)).cause == "ended"


async def test_one_whose_start_failed_is_free(stage: Stage) -> None:
    call = await stage.call()
    stage.is_mute = True
    with pytest.raises(RelayError, match="Request timeout"):
        await stage.play(call, "k1")
    stage.is_mute = False
    assert await stage.play(call, "k1")


# --- calls of others ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["disconnected", "failed", "ended", "another"])
async def test_a_peer_that_is_not_ours_goes_with_the_bridge(stage: Stage, end: str) -> None:
    """After three agents of other clients ``max_active_calls=3`` passed on every call."""
    call = await stage.call()
    for number in range(3):
        stage.bridged("connected", f"agent{number}")
        assert ids(stage) == [f"agent{number}", "c1"]
        assert call.peer_call is not None
        if end in ("disconnected", "failed"):
            stage.bridged(end, f"agent{number}")
            assert ids(stage) == ["c1"]
    if end == "ended":
        stage.state("ended")
        assert ids(stage) == []
    await stage.call("c2")
    await stage.call("c3")


async def test_a_bridge_to_a_call_of_another_client_takes_no_place(stage: Stage) -> None:
    await stage.call()
    stage.bridged("connected", "agent")
    await stage.call("c2")
    await stage.call("c3")
    stage.node.tell("calling.call.receive", call_id="c4", call_state="created", direction="inbound")
    await asyncio.sleep(0.1)
    assert ids(stage) == ["agent", "c1", "c2", "c3"], "the limit holds for our own"


async def test_a_peer_that_has_events_of_its_own_is_ours_and_stays(stage: Stage) -> None:
    call = await stage.call()
    stage.bridged("connected", "leg")
    stage.state("answered", "leg", direction="outbound")
    stage.bridged("disconnected", "leg")
    assert ids(stage) == ["c1", "leg"]
    assert call.peer == {}
    stage.state("ended", "leg")
    assert ids(stage) == ["c1"]


async def test_who_waits_for_a_peer_that_is_not_ours_is_told_when_it_goes(stage: Stage) -> None:
    call = await stage.call()
    stage.bridged("connected", "agent")
    peer = call.peer_call
    assert peer is not None
    waiting = asyncio.create_task(peer.wait_for_ended())
    await asyncio.sleep(0)
    stage.bridged("disconnected", "agent")
    assert (await asyncio.wait_for(waiting, 1)).cause == "gone"


async def test_a_dial_that_is_told_answered_after_the_leg_ended_leaves_no_call(stage: Stage) -> None:
    """A call that its own events had ended came to life again, and nothing ended it."""
    dialing = asyncio.create_task(stage.client.dial([[PHONE]], tag="t1"))
    await asyncio.sleep(0.1)
    for state in ("created", "ringing", "answered", "ended"):
        stage.state(state, "leg", tag="t1", direction="outbound")
    leg = {"call_id": "leg", "node_id": NODE_ID, "tag": "t1", "call_state": "answered", "dial_winner": "true"}
    stage.node.tell("calling.call.dial", tag="t1", dial_state="answered", call=leg)
    call = await asyncio.wait_for(dialing, 1)
    assert call.state == "ended"
    assert ids(stage) == []


# --- messages -------------------------------------------------------------------------------------------------------


async def send(stage: Stage, message_id: str) -> Message:
    sending = asyncio.create_task(stage.client.send_message(to_number="+1", from_number="+2", body="hello"))
    stage.is_mute = True
    await asyncio.sleep(0.05)
    [frame] = [frame for frame in stage.node.inbox if frame.get("method") == "messaging.send"]
    stage.node.inbox.remove(frame)
    assert stage.node.driver is not None
    stage.node.driver.feed({"id": frame["id"], "result": {"code": "200", "message_id": message_id}})
    stage.is_mute = False
    return await sending


async def test_a_message_without_an_id_of_its_own_is_not_waited_for(stage: Stage) -> None:
    """The second took the place of the first, whose end then nobody told."""
    nameless = await send(stage, "")
    assert (await nameless.wait(timeout=1)).cause == "gone"
    first, second = await send(stage, "m1"), await send(stage, "m1")
    assert (await first.wait(timeout=1)).cause == "gone"
    stage.node.tell("messaging.state", message_id="m1", message_state="delivered")
    assert (await second.wait(timeout=1)).message_state == "delivered"


# --- a connection that closes while something is asked ------------------------------------------------------------


async def test_a_handler_whose_request_the_connection_cuts_off_is_told_in_one_line(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(call: Call) -> None:
        await call.answer()

    stage.client.on_call(answer)
    stage.is_mute = True
    stage.node.tell("calling.call.receive", call_id="c1", call_state="created", direction="inbound")
    await asyncio.sleep(0.1)
    stage.node.cut()
    stage.node.protocol = "another"  # the session is gone, and with it what the request may have done
    stage.is_mute = False
    await asyncio.sleep(5)
    [record] = [one for one in caplog.records if "on_call handler" in one.getMessage()]
    assert record.exc_info is None
    assert record.levelno == logging.WARNING
    assert "calling.answer" in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("restart", [True, False])
async def test_a_server_that_orders_clients_away_again_and_again_is_survived(stage: Stage, restart: bool) -> None:
    for number in range(5):
        call = await stage.call(f"c{number}")
        action = await stage.play(call, "k1")
        stage.node.order_restart(restart=restart)
        if restart:
            assert (await action.wait(timeout=60)).cause == "gone"
        else:
            await asyncio.sleep(60)
            stage.state("ended", f"c{number}")
            assert (await action.wait(timeout=1)).cause == "ended"
    with pytest.raises(DialFailed):
        await stage.client.dial([[PHONE]], tag="t1", dial_timeout=1)
    assert stage.client.is_connected


async def test_garbage_without_end_is_told_in_few_lines_with_its_count(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Each frame was a line: a server could fill the disk of its clients."""
    assert stage.node.driver is not None
    for _ in range(5_000):
        stage.node.driver.session.received("{", asyncio.get_running_loop().time())
        stage.node.driver.pump()
    told = [one for one in caplog.records if one.getMessage().startswith("ignored an unreadable frame")]
    assert 10 <= len(told) <= 20
    assert told[-1].getMessage() == "ignored an unreadable frame (5000 so far)"
