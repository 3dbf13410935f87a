"""The ACK that never comes: the 200 again and again for 32 s, then BYE. All 32 s scenarios side by side."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from rig.cpu import Stopwatch
from rig.dialog import Caller
from rig.fixtures import Talk, offer
from rig.node import NodeProcess
from rig.relay import RelayPeer


class Unacknowledged(NamedTuple):
    """A call whose caller never acknowledged; times are seconds since the epoch."""

    talk: Talk
    clock: Stopwatch
    asked_at: float
    """No timer of the answer began before, however late the 200 went out."""
    times: list[float]
    """When each 200 came; over UDP by the kernel's clock, so that a slow test cannot be taken for a slow node."""
    bye_at: float

    def late_s(self, due_s: float, at: float) -> float:
        """How long after its time, counted from the first 200; what was waited for a CPU since then is no lateness."""
        return self.clock.took(self.times[0] + due_s, at)


async def unacknowledged(node: NodeProcess, relay: RelayPeer, transport: str) -> Unacknowledged:
    caller = await Caller.open(node.sip(transport), transport=transport)
    call = await offer(caller, relay)
    clock = Stopwatch(node.engine().pid)
    asked_at = clock.start()
    await relay.command(call, "answer")
    answer = await caller.final()
    caller.answer = answer
    caller.rtp.start(answer.media)
    bye = await caller.ended_by_node(60)
    clock.took(asked_at, bye.at)  # it looks no further
    times = [m.at for m in caller.sip.inbox if m.status == 200 and m.method == "INVITE"]
    return Unacknowledged(Talk(call, caller, relay), clock, asked_at, times, bye.at)


@pytest.mark.judges_time
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("demos")  # they run meanwhile, for test_the_demo
async def test_a_lost_ack_is_waited_for_32_s_and_then_hung_up(node: NodeProcess, relay: RelayPeer) -> None:
    """rustpbx#280: "the call hangs up after 32 seconds", and nobody is told why."""
    first = asyncio.create_task(unacknowledged(node, relay, "udp"))
    await asyncio.sleep(0.5)
    second = asyncio.create_task(unacknowledged(node, relay, "tcp"))
    for one, transport in zip(await asyncio.gather(first, second), ("udp", "tcp"), strict=True):
        took = one.bye_at - one.asked_at
        print(f"{transport}: 200 at {[round(t - one.asked_at, 1) for t in one.times]}, BYE after {took:.1f} s")
        assert took > 31.9
        assert one.late_s(32, one.bye_at) < 1.5
        assert len(one.times) >= 9, "a 200 is sent again, over TCP too"
        if transport == "udp":
            assert one.times[1] - one.asked_at > 0.49
            assert one.late_s(0.5, one.times[1]) < 0.2
        talk = one.talk
        ended = await relay.state(talk.call, "ended")
        assert (ended.params["end_reason"], ended.params["end_source"]) == ("error", "none")
        assert talk.caller.rtp.broken() == []
        heard = talk.caller.rtp.heard()
        lasted = (heard[-1].timestamp - heard[0].timestamp) & 0xFFFFFFFF  # what a busy machine left out counts
        assert lasted > 30 * 8000, "media flows before the ACK"
        talk.caller.close()
