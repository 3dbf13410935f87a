"""The ACK that never comes: the 200 again and again for 32 s, then BYE. All 32 s scenarios side by side."""

from __future__ import annotations

import asyncio

import pytest

from rig.dialog import Caller
from rig.fixtures import Talk, offer
from rig.node import NodeProcess
from rig.relay import RelayPeer


async def unacknowledged(node: NodeProcess, relay: RelayPeer, transport: str) -> tuple[Talk, list[float], float]:
    """A caller that never acknowledges: when each 200 came, and the BYE, in seconds after the first 200."""
    caller = await Caller.open(node.sip(transport), transport=transport)
    call = await offer(caller, relay)
    await relay.command(call, "answer")
    answer = await caller.final()
    caller.answer = answer
    caller.rtp.start(answer.media)
    bye = await caller.ended_by_node(40)
    took = bye.at - answer.at
    times = [m.at - answer.at for m in caller.sip.inbox if m.status == 200 and m.method == "INVITE"]
    return Talk(call, caller, relay), times, took


@pytest.mark.judges_time
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("demos")  # they run meanwhile, for test_the_demo
async def test_a_lost_ack_is_waited_for_32_s_and_then_hung_up(node: NodeProcess, relay: RelayPeer) -> None:
    """rustpbx#280: "the call hangs up after 32 seconds", and nobody is told why."""
    first = asyncio.create_task(unacknowledged(node, relay, "udp"))
    await asyncio.sleep(0.5)
    second = asyncio.create_task(unacknowledged(node, relay, "tcp"))
    for (talk, times, took), transport in zip(await asyncio.gather(first, second), ("udp", "tcp"), strict=True):
        print(f"{transport}: 200 at {[round(t, 1) for t in times]}, BYE after {took:.1f} s")
        assert took == pytest.approx(32, abs=1.5)
        assert len(times) >= 9, "a 200 is sent again, over TCP too"
        if transport == "udp":  # by the kernel's clock, so that a slow test cannot be taken for a slow node
            assert times[1] == pytest.approx(0.5, abs=0.2)
        ended = await relay.state(talk.call, "ended")
        assert (ended.params["end_reason"], ended.params["end_source"]) == ("error", "none")
        assert talk.caller.rtp.broken() == []
        assert len(talk.caller.rtp.heard()) > 1500, "media flows before the ACK"
        talk.caller.close()
