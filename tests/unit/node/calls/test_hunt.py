"""A hunt as a verb uses it: who was found, or why nobody; it says nothing of itself."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from bench import NODE, Bench
from offhook.node.calls.call import Call
from offhook.node.calls.endings import Ending
from offhook.node.calls.hunt import Hunt, HuntRequest, Lost, Won
from offhook.node.engine import ops
from offhook.protocol.devices import DialDevice
from offhook.protocol.states import EndReason, EndSource
from offhook.testing.engine import Peer

pytestmark = pytest.mark.virtual_clock

NEVER = Peer(answer_after_s=None)
BUSY = Peer(answer_after_s=0.5, status=486, reason="Busy Here")
PARENT = {"node_id": NODE, "call_id": "the caller", "device_type": "sip"}
ENOUGH = Ending(EndReason.CANCEL, EndSource.OUTBOUND, text="That is enough")


def group(*names: str) -> list[DialDevice]:
    devices = [{"type": "sip", "params": {"to": f"sip:{name}@127.0.0.1"}} for name in names]
    return msgspec.convert(devices, list[DialDevice])


class Verb:
    """Whoever hunts for a call that lives already."""

    def __init__(self, bench: Bench, *groups: list[DialDevice]) -> None:
        self._bench = bench
        self.won: list[tuple[str, list[str]]] = []
        """Who won, and the states that were told until then."""
        request = HuntRequest(session="session-1", groups=list(groups), parent=PARENT)
        self.hunt = Hunt(request, bench.exchange, bench.exchange.planner, self._on_won)

    def _on_won(self, call: Call) -> None:
        self.won.append((call.call_id, self.states()))

    def states(self) -> list[str]:
        """States with their callee."""
        told = self._bench.sink.of("calling.call.state")
        return [f"{state['device']['params']['to'][4:7]} {state['call_state']}" for state in told]


async def test_the_winner_is_handed_over_before_a_loser_ends_and_nothing_else_is_told(bench):
    bench.engine.peers["sip:eve@127.0.0.1"] = NEVER
    verb = Verb(bench, group("bob", "eve"))
    outcome = await verb.hunt.run()
    assert isinstance(outcome, Won)
    [(winner, told)] = verb.won
    assert winner == outcome.call.call_id
    assert told[-1] == "bob answered"
    assert not [line for line in told if "end" in line]
    await asyncio.sleep(1)
    assert verb.states()[len(told) :] == ["eve ending", "eve ended"]
    assert {event.event_type for event in bench.sink.events} == {"calling.call.state"}
    assert list(bench.exchange.calls) == [outcome.call]


async def test_its_calls_tell_their_parent_and_the_winner_of_a_hunt_for_a_call_won_no_dial(bench):
    bench.engine.peers["sip:eve@127.0.0.1"] = NEVER
    await Verb(bench, group("bob", "eve")).hunt.run()
    await asyncio.sleep(1)
    for state in bench.sink.of("calling.call.state"):
        assert (state["parent"], state["tag"], state["direction"]) == (PARENT, "", "outbound")
        assert "dial_winner" not in state


async def test_nobody_answered_and_the_last_of_them_says_why(bench):
    bench.engine.peers = {"sip:bob@127.0.0.1": NEVER, "sip:eve@127.0.0.1": BUSY}
    outcome = await Verb(bench, group("bob"), group("eve")).hunt.run()
    assert isinstance(outcome, Lost)
    assert (outcome.ending.reason, outcome.ending.source) == (EndReason.BUSY, EndSource.INBOUND)
    assert not len(bench.exchange.calls)


async def test_a_hunt_that_is_given_up_calls_nobody_else_and_ends_who_rings(bench):
    bench.engine.default_peer = NEVER
    verb = Verb(bench, group("bob", "eve"), group("joe"))
    hunting = asyncio.create_task(verb.hunt.run())
    await asyncio.sleep(1)
    verb.hunt.give_up(ENOUGH)
    assert await hunting == Lost(ENOUGH)
    await asyncio.sleep(1)
    assert len(bench.engine.sent(ops.LegDial)) == 2
    assert bench.engine._legs == {}
    assert verb.won == []


async def test_a_hunt_that_is_cancelled_leaves_nobody_ringing(bench):
    bench.engine.default_peer = NEVER
    hunting = asyncio.create_task(Verb(bench, group("bob", "eve"), group("joe")).hunt.run())
    await asyncio.sleep(1)
    hunting.cancel()
    await asyncio.sleep(1)
    assert hunting.cancelled()
    assert bench.engine._legs == {}
    assert not len(bench.exchange.calls)


async def test_where_the_winner_will_not_do_the_hunt_goes_on_behind_its_group(bench):
    verb = Verb(bench, group("bob", "eve"), group("joe"))
    first, second = await verb.hunt.run(), await verb.hunt.run()
    assert isinstance(first, Won)
    assert isinstance(second, Won)
    assert first.call.identity.device["params"]["to"] == "sip:bob@127.0.0.1"
    assert second.call.identity.device["params"]["to"] == "sip:joe@127.0.0.1"
    assert [call for call, _ in verb.won] == [first.call.call_id, second.call.call_id]
    assert isinstance(await verb.hunt.run(), Lost)
