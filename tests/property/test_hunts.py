"""Any devices with any addresses, and any end at any moment: a dial is told once, and nobody is left ringing."""

from __future__ import annotations

import asyncio
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bench
from bench import SETTINGS, Bench
from offhook.errors import EngineLost
from offhook.node.engine import ops
from offhook.testing.clock import VirtualClockLoop
from offhook.testing.engine import Peer

PEERS = {
    "answers": Peer(answer_after_s=0.3),
    "answers at once": Peer(ring_after_s=None, answer_after_s=0.0),
    "answers late": Peer(answer_after_s=3.0),
    "busy": Peer(answer_after_s=0.3, status=486),
    "full": Peer(ring_after_s=None, answer_after_s=0.3, status=503),
    "full after it rang": Peer(answer_after_s=0.3, status=503),
    "nobody": Peer(answer_after_s=0.3, is_there=False),
    "silent": Peer(ring_after_s=None, answer_after_s=None),
    "rings": Peer(answer_after_s=None),
}
ORDER = ["created", "ringing", "answered", "ending", "ended"]

devices = st.lists(st.sampled_from(sorted(PEERS)), min_size=1, max_size=3)
groups = st.lists(st.lists(devices, min_size=1, max_size=3), min_size=1, max_size=3)
moments = st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.31, 0.6, 1.0, 3.0, 5.0, 7.0])
happenings = st.lists(
    st.tuples(moments, st.sampled_from(["give up", "end one", "cut", "crash", "refuse", "no way", "slow"])), max_size=3
)


class Run:
    """One dial, driven by a plan."""

    def __init__(self, made: Bench) -> None:
        self.bench = made
        self.attaching: list[asyncio.Task[None]] = []

    def devices(self, plan: list[list[list[str]]], hosts: dict[str, list[str]]) -> list[list[dict[str, Any]]]:
        numbers = count(1)
        dialled = []
        for group in plan:
            dialled.append([])
            for behaviours in group:
                host = f"host-{next(numbers)}.example"
                hosts[host] = [f"192.0.2.{next(numbers)}" for _ in behaviours]
                for address, behaviour in zip(hosts[host], behaviours, strict=True):
                    self.bench.engine.peers[f"{address}:5060"] = PEERS[behaviour]
                dialled[-1].append({"type": "sip", "params": {"to": f"sip:bob@{host}", "timeout": 5}})
        return dialled

    async def follow(self, dialled: list[list[dict[str, Any]]], plan: list[tuple[float, str]]) -> None:
        await self.bench.run("calling.dial", tag="t", devices=dialled)
        for wait_s, word in plan:
            await asyncio.sleep(wait_s)
            self.happen(word)
        await asyncio.sleep(60)
        await asyncio.gather(*self.attaching)

    def happen(self, word: str) -> None:
        engine, exchange = self.bench.engine, self.bench.exchange
        match word:
            case "give up":
                exchange.cancel_dials("session-1", "Its client is gone")
            case "end one":
                for leg in list(engine._legs)[:1]:
                    engine.hang_up(leg)
            case "cut" | "crash":
                engine.lose() if word == "cut" else engine.crash()
                self.attaching.append(asyncio.create_task(self.attach()))
            case "refuse":
                engine.refuse_next(ops.LegDial)
            case "no way":
                engine.refuse_next(ops.LegDial, "unreachable", "no way there")
            case "slow":
                engine.reply_after_s = 0.1

    async def attach(self) -> None:
        """As the node does it: again, when the engine goes meanwhile."""
        while True:
            try:
                await self.bench.exchange.attach()
            except EngineLost:
                await asyncio.sleep(0.1)
            else:
                return

    # --- what must hold --------------------------------------------------------------------------------------

    def check(self) -> None:
        sink, exchange = self.bench.sink, self.bench.exchange
        told = [params["dial_state"] for params in sink.of("calling.call.dial")]
        assert told in (["dialing", "answered"], ["dialing", "failed"])
        states: dict[str, list[dict[str, Any]]] = {}
        for state in sink.of("calling.call.state"):
            states.setdefault(state["call_id"], []).append(state)
        winners = [call_id for call_id, of_call in states.items() if self.check_call(of_call)]
        assert len(winners) == told.count("answered")
        live = {call.call_id for call in exchange.calls}
        assert live <= set(winners)
        assert {call.leg.id for call in exchange.calls} == set(self.bench.engine._legs), "a leg without a call"
        assert set(exchange.calls._by_leg) == set(self.bench.engine._legs), "a leg that is gone has a call"
        assert exchange.caps._by_session.total() == len(live)
        assert exchange.failures == exchange._tasks.failures == 0
        assert exchange._dials == {}

    def check_call(self, of_call: list[dict[str, Any]]) -> bool:
        """Whether it won."""
        names = [state["call_state"] for state in of_call]
        assert names == [name for name in ORDER if name in names], "a state came twice, or behind a later one"
        assert names[0] == "created"
        has_won = "answered" in names
        assert has_won == any("dial_winner" in state for state in of_call)
        assert has_won or names[-1] == "ended"
        assert all(state["tag"] == ("t" if has_won or state["call_state"] in ORDER[:3] else "") for state in of_call)
        return has_won


async def play(plan: list[list[list[str]]], happening: list[tuple[float, str]], directory: Path) -> None:
    made = Bench(directory, SETTINGS)
    run = Run(made)
    with pytest.MonkeyPatch.context() as patch:
        hosts: dict[str, list[str]] = {}
        dialled = run.devices(plan, hosts)
        for host, addresses in hosts.items():
            patch.setitem(bench.HOSTS, host, addresses)
        async with made.exchange:
            await made.exchange.attach()
            await run.follow(dialled, happening)
            run.check()


@settings(max_examples=300)
@given(groups, happenings)
def test_a_dial_is_told_once_and_leaves_nobody_ringing(plan, happening):
    with tempfile.TemporaryDirectory() as directory, asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(play(plan, happening, Path(directory)))
