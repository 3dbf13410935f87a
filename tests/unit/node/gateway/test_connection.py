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
    await asyncio.wait_for(connection.serve(lambda _frame: 0.0), 30)
    assert settled == ["first", "second"]
    assert connection.send("one that comes later", lambda: settled.append("third")) is False


class StuckSocket:
    """The peer reads nothing."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def send_str(self, _text: str) -> None:
        await self.closed.wait()
        raise ConnectionResetError("the peer has gone")

    async def receive(self) -> WSMessage:
        await self.closed.wait()
        return WSMessage(WSMsgType.CLOSED, None, None)

    async def close(self, **_words: object) -> bool:
        self.closed.set()
        return True


class HungUp:
    """A transport that only notes its end."""

    def __init__(self, socket: StuckSocket) -> None:
        self._socket = socket
        self.aborted = 0

    def abort(self) -> None:
        self.aborted += 1
        self._socket.closed.set()


async def test_replies_beyond_the_bound_are_followed_by_one_goodbye() -> None:
    """Dropping its events does not make room when it is replies that nobody reads; the goodbye goes all the same."""
    socket = StuckSocket()
    transport = HungUp(socket)
    connection = Connection(socket, transport, settings(queue_max_bytes=1000, disconnect_timeout_s=0.05))  # type: ignore[arg-type]
    overflows: list[str] = []
    connection.on_overflow = lambda: overflows.append("told")
    serving = asyncio.create_task(connection.serve(lambda _frame: 0.0))
    await asyncio.sleep(0)
    for _ in range(3):
        assert connection.send("r" * 400)
    assert overflows == ["told"]
    assert transport.aborted == 0
    connection.send("one more while it takes its leave")
    assert transport.aborted == 1
    await asyncio.wait_for(serving, 30)
    assert overflows == ["told"]


class PingingSocket:
    """The peer pings, and is gone before it is answered."""

    async def send_str(self, _text: str) -> None:
        return

    async def receive(self) -> WSMessage:
        return WSMessage(WSMsgType.PING, b"", None)

    async def pong(self, _data: bytes) -> None:
        raise ConnectionResetError("the peer has gone")


async def test_a_peer_that_goes_before_its_ping_is_answered_is_no_fault_of_the_node() -> None:
    """It left a traceback in the log for each: strangers fill a disk so."""
    connection = Connection(PingingSocket(), None, settings())  # type: ignore[arg-type]
    await asyncio.wait_for(connection.serve(lambda _frame: 0.0), 5)
    assert not connection.is_open
