"""The machine's clock is set while clients are away: what is kept is kept as long as it was promised, no shorter."""

from __future__ import annotations

import asyncio
import time

import pytest
from gateway_rig import play

from offhook.node.calls.ports import Client

pytestmark = pytest.mark.filterwarnings("error")

HOUR_S = 3600.0
STEPS = [660.0, HOUR_S, -HOUR_S, 31 * 24 * HOUR_S, -400 * 24 * HOUR_S]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch):
    """Sets the wall clock on by so many seconds; the loop's clock goes on as it was."""
    real, ahead = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])

    def step(seconds: float) -> None:
        ahead[0] += seconds

    return step


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_clock_that_is_set_while_a_client_is_away_loses_no_event_and_no_reply(
    make_node, set_clock, step, comes_back
):
    """NTP, or a virtual machine that goes on: eleven minutes for some seconds, and ``ended`` was gone."""
    async with make_node(sweep_s=0.02) as node:
        async with node.client() as client:
            protocol = client.hello["protocol"]
            node.desk.assign("call", Client(protocol))
            first = await client.command("calling.play", "call", "the-id", control_id="c")
        node.outbox.emit(play("call", 1))
        await node.outbox.journalled()
        set_clock(step)
        await asyncio.sleep(0.1)  # some sweeps
        node.outbox.emit(play("call", 2))
        if comes_back:
            set_clock(-step)
            await asyncio.sleep(0.1)
        async with node.client(protocol=protocol) as client:
            events = [await client.event() for _ in range(2)]
            assert [e["params"]["params"].get("control_id") for e in events] == ["control-1", "control-2"]
            assert await client.command("calling.play", "call", "the-id", control_id="c") == first
            assert node.runner.methods() == ["calling.play"]


@pytest.mark.parametrize("step", STEPS)
async def test_a_node_that_starts_with_another_clock_loses_no_event_and_no_reply(make_node, set_clock, step):
    async with make_node(sweep_s=0.02) as node:
        async with node.client() as client:
            protocol = client.hello["protocol"]
            node.desk.assign("call", Client(protocol))
            first = await client.command("calling.play", "call", "the-id", control_id="c")
        node.outbox.emit(play("call", 1))
        await node.outbox.journalled()
        await node.crash()
    set_clock(step)
    async with make_node(sweep_s=0.02) as node:
        node.gateway.recover({"call"})
        await asyncio.sleep(0.1)
        async with node.client(protocol=protocol) as client:
            await asyncio.sleep(0.1)
            assert (await client.event())["params"]["params"]["control_id"] == "control-1"
            assert await client.command("calling.play", "call", "the-id", control_id="c") == first
            assert node.runner.methods() == []


@pytest.mark.parametrize("step", [HOUR_S, 31 * 24 * HOUR_S, -31 * 24 * HOUR_S])
@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_state_that_a_client_keeps_proves_it_wherever_the_clock_was_set(make_node, set_clock, step, comes_back):
    """A clock that was set on made every state old, and what was made while it was set back was old afterwards."""
    async with make_node(authorization_state_s=HOUR_S / 2) as node:
        async with node.client() as client:
            protocol = client.hello["protocol"]
            early = (await client.asked("signalwire.authorization.state"))["params"]["params"]
        set_clock(step)
        async with node.client(protocol=protocol) as client:
            late = (await client.asked("signalwire.authorization.state"))["params"]["params"]
        if comes_back:
            set_clock(-step)
        for state in (early, late):
            async with node.client(protocol=protocol, **state) as client:
                assert client.hello["session_restored"] is True
                await client.request("signalwire.ping", {})
                assert [frame for frame in client.frames if frame.get("method") == "signalwire.event"] == []


async def test_what_is_too_old_by_the_time_that_passed_is_forgotten_wherever_the_clock_stands(make_node, set_clock):
    set_clock(31 * 24 * HOUR_S)
    async with make_node(sweep_s=0.02, retention_s=0.3) as node, node.client() as client:
        protocol = client.hello["protocol"]
        node.desk.assign("call", Client(protocol))
        client.acks = False
        set_clock(-62 * 24 * HOUR_S)
        await client.command("calling.play", "call", "the-id", control_id="c")
        node.outbox.emit(play("call", 1))
        await client.event()
        assert len(await node.journal.replies(protocol)) == 1
        session = node.gateway._sessions.get(protocol)
        async with asyncio.timeout(30):
            while session.delivery.unacked or await node.journal.replies(protocol):
                await asyncio.sleep(0.02)
        assert session.ledger.find("the-id") is None


async def test_a_step_is_told_once_in_the_log(make_node, set_clock, capsys):
    async with make_node(sweep_s=0.02):
        await asyncio.sleep(0.05)
        set_clock(30.0)
        await asyncio.sleep(0.1)
        assert "clock was set" not in capsys.readouterr().out
        set_clock(HOUR_S)
        await asyncio.sleep(0.2)
        assert capsys.readouterr().out.count("clock was set") == 1
