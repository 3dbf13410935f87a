"""One socket: what was queued and never left is settled all the same."""

from __future__ import annotations

import asyncio

from aiohttp import WSMessage, WSMsgType
from gateway_rig import settings

from offhook.node.gateway.connection import Connection


class DyingSocket:
    """The peer has gone; it is noticed by the first write, and by the reader after it."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def send_str(self, _text: str) -> None:
        self.gone.set()
        raise ConnectionResetError("the peer has gone")

    async def receive(self) -> WSMessage:
        await self.gone.wait()
        return WSMessage(WSMsgType.CLOSED, None, None)


async def test_a_reply_whose_socket_dies_under_it_is_settled() -> None:
    """Events of a collect wait until 50 ms after its reply: one that never left must not hold them for ever."""
    connection = Connection(DyingSocket(), None, settings())  # type: ignore[arg-type]
    settled: list[str] = []
    connection.send("the reply that is being written", lambda: settled.append("first"))
    connection.send("the one behind it", lambda: settled.append("second"))
    await asyncio.wait_for(connection.serve(lambda _frame: 0.0), 5)
    assert settled == ["first", "second"]
    assert connection.send("one that comes later", lambda: settled.append("third")) is False
