"""A server that has no room for a request now: -32005. On a clock that jumps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from offhook.client.app.relay import RelayClient
from offhook.errors import RelayError
from offhook.testing.clock import VirtualClockLoop
from rig.memory_node import MemoryNode

NO_ROOM = -32005


Story = Callable[[MemoryNode, RelayClient], Coroutine[Any, Any, None]]


def on_a_jumping_clock(story: Story) -> Callable[[], None]:
    async def tell() -> None:
        node = MemoryNode()
        client = RelayClient("project", "token", "ws://localhost:1", ["default"])
        client._make_driver = node.make_driver  # type: ignore[method-assign]
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(0)
        node.open(forget=False)
        await connecting
        await story(node, client)
        await client.disconnect()

    def test() -> None:
        random.seed(0)  # of the pauses between tries: one in a hundred has the last try sent as the time is over
        with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
            runner.run(tell())

    return test


async def next_request(node: MemoryNode) -> None:
    while not node.inbox:
        await asyncio.sleep(0.01)


@on_a_jumping_clock
async def test_a_request_is_sent_again_until_there_is_room(node: MemoryNode, client: RelayClient) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    asking = asyncio.create_task(client.execute("calling.play", {"call_id": "c"}))
    for code in (NO_ROOM, NO_ROOM, NO_ROOM, 200):
        await next_request(node)
        node.handle(code)
    assert (await asking)["code"] == "200"
    assert node.done == ["calling.play"]
    assert 0.1 + 0.2 + 0.4 <= loop.time() - began <= 0.2 + 0.4 + 0.8 + 0.1


@on_a_jumping_clock
async def test_a_server_that_never_has_room_refuses_within_the_time_of_a_request(
    node: MemoryNode, client: RelayClient
) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    asking = asyncio.create_task(client.execute("calling.play", {}))
    tries = 0
    while not asking.done():
        if node.inbox and node.inbox[0].get("method") == "calling.play":
            tries += 1
            node.handle(NO_ROOM)
        elif node.inbox:
            node.handle(200)
        await asyncio.sleep(0.01)
    with pytest.raises(RelayError) as caught:
        await asking
    assert caught.value.code == NO_ROOM
    assert tries >= 5
    assert loop.time() - began < 10
