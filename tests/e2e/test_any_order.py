"""Calls to which anything happens at any time, on the real engine: every promise about ends and orders holds."""

from __future__ import annotations

import asyncio
import os
import random

from rig.monkey import Monkey, broken_promises
from rig.node import NodeProcess
from rig.relay import RelayPeer

CALLS = int(os.environ.get("OFFHOOK_MONKEY_CALLS", "16"))
SEED = int(os.environ.get("OFFHOOK_MONKEY_SEED", "5"))
AT_ONCE = 8


async def test_every_action_ends_once_and_every_call_last_whatever_happens(node: NodeProcess, relay: RelayPeer) -> None:
    """jambonz/jambonz-feature-server#103, #633, #1098: every stage of the life cycle has been wrong once."""
    monkeys = [Monkey(node, relay, number, random.Random(SEED * 1000 + number)) for number in range(CALLS)]
    lines = asyncio.Semaphore(AT_ONCE)

    async def one(monkey: Monkey) -> None:
        async with lines:
            await monkey.live()
            assert monkey.call
            await relay.state(monkey.call, "ended")

    await asyncio.gather(*(one(monkey) for monkey in monkeys))
    await asyncio.sleep(0.5)
    replies = [reply for monkey in monkeys for reply in monkey.replies]
    broken = [
        f"call {monkey.number}: {promise}"
        for monkey in monkeys
        if monkey.call
        for promise in broken_promises(monkey, relay.of_call(monkey.call.call_id))
    ]
    print(f"{CALLS} calls, {len(replies)} commands, {sum(len(m.accepted) for m in monkeys)} actions, seed {SEED}")
    assert broken == []
    assert [reply for reply in replies if reply["code"] not in {"200", "404", "409", "410"}] == []
    assert sum(len(monkey.accepted) for monkey in monkeys) > 2 * CALLS
