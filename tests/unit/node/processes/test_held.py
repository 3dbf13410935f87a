"""What a process says of what it holds."""

from __future__ import annotations

import asyncio

from offhook.node.calls.routing import RoutingTable
from offhook.node.processes.held import held

ROUTING = "node.calls.routing.RoutingTable"


async def test_objects_of_ours_are_counted_as_long_as_they_live_and_no_longer():
    before = held()
    kept = [RoutingTable([]) for _ in range(3)]
    assert held().get(ROUTING, 0) == before.get(ROUTING, 0) + 3
    kept.clear()
    assert held().get(ROUTING, 0) == before.get(ROUTING, 0)


async def test_what_refers_to_itself_alone_is_not_counted():
    before = held().get(ROUTING, 0)
    routing = RoutingTable([])
    routing.itself = routing  # type: ignore[attr-defined]
    del routing
    assert held().get(ROUTING, 0) == before


async def test_tasks_are_those_of_this_loop():
    before = held()["tasks"]
    task = asyncio.create_task(asyncio.sleep(1000))
    assert held()["tasks"] == before + 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert held()["tasks"] == before
