"""When a client is taken for dead: its own silence alone counts, in time that the node's loop was able to read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import WSMessage, WSMsgType
from gateway_rig import OfferedCall, connect_params, settings

from offhook.node.gateway.connection import Connection

pytestmark = pytest.mark.virtual_clock


class Peer:
    """The other end of a socket: answers pings after ``rtt_s`` (None: never), and says something each ``talks_s``."""

    def __init__(self, *, rtt_s: float | None = 0.01, talks_s: float | None = None) -> None:
        self.rtt_s = rtt_s
        self.talks_s = talks_s
        self.pinged = 0
        self.close_code: int | None = None
        self.why = ""
        self.is_aborted = False
        self._inbox: asyncio.Queue[WSMessage] = asyncio.Queue()
        self._talk()

    @property
    def is_gone(self) -> bool:
        return self.is_aborted or self.close_code is not None

    def say(self, frame: dict) -> None:
        self._inbox.put_nowait(WSMessage(WSMsgType.TEXT, json.dumps(frame), None))

    def _talk(self) -> None:
        if self.talks_s is not None and not self.is_gone:
            self.say({"jsonrpc": "2.0", "id": "x", "method": "signalwire.ping", "params": {}})
            asyncio.get_running_loop().call_later(self.talks_s, self._talk)

    async def send_str(self, text: str) -> None:
        frame = json.loads(text)
        if frame.get("method") == "signalwire.ping":
            self.pinged += 1
            if self.rtt_s is not None:
                answer = {"jsonrpc": "2.0", "id": frame["id"], "result": {}}
                asyncio.get_running_loop().call_later(self.rtt_s, self.say, answer)

    async def receive(self) -> WSMessage:
        return await self._inbox.get()

    async def close(self, *, code: int, message: bytes) -> None:
        self.close_code, self.why = code, message.decode()
        self._inbox.put_nowait(WSMessage(WSMsgType.CLOSED, None, None))

    def abort(self) -> None:
        self.is_aborted = True
        self._inbox.put_nowait(WSMessage(WSMsgType.CLOSED, None, None))


@asynccontextmanager
async def served(peer: Peer, pace: Callable[[str], float] = lambda _text: 0.0) -> AsyncIterator[Connection]:
    connection = Connection(peer, peer, settings())  # type: ignore[arg-type]

    def receive(text: str) -> float:
        connection.took_reply(json.loads(text)["id"])
        return pace(text)

    serving = asyncio.create_task(connection.serve(receive))
    yield connection
    connection.abort()
    await serving


def stand_still(seconds: float) -> None:
    """The loop does nothing for so long, as on a machine that is busy or was suspended."""
    asyncio.get_running_loop()._now_s += seconds


@pytest.mark.parametrize("still_s", [5.0, 9.99, 12.0, 20.0, 60.0, 3600.0])
@pytest.mark.parametrize("after_s", [0.0, 5.0, 10.0, 10.005, 10.5, 14.9, 19.0])
async def test_a_node_that_stood_still_drops_no_client_that_answers(still_s: float, after_s: float) -> None:
    """A laptop that was suspended dropped all its clients at once."""
    peer = Peer()
    async with served(peer):
        for _ in range(3):
            await asyncio.sleep(after_s)
            stand_still(still_s)
        await asyncio.sleep(30)
        assert not peer.is_gone


@pytest.mark.parametrize("rtt_s", [0.01, 2.0])
async def test_a_node_that_stands_still_again_and_again_drops_no_client_that_answers(rtt_s: float) -> None:
    peer = Peer(rtt_s=rtt_s)
    async with served(peer):
        for _ in range(20):
            await asyncio.sleep(3)
            stand_still(7)
        assert not peer.is_gone


async def test_a_client_that_is_silent_is_dropped_after_20_s_and_no_earlier() -> None:
    peer = Peer(rtt_s=None)
    async with served(peer):
        await asyncio.sleep(19.5)
        assert not peer.is_gone
        await asyncio.sleep(1.5)
        assert peer.is_aborted


async def test_a_client_that_is_silent_is_dropped_though_the_node_stands_still_now_and_then() -> None:
    peer = Peer(rtt_s=None)
    async with served(peer):
        for _ in range(6):
            await asyncio.sleep(8)
            stand_still(4)
        assert peer.is_aborted


async def test_what_the_node_does_not_read_on_purpose_is_no_silence_of_the_client() -> None:
    """It was read so slowly that it was dropped for saying nothing."""
    peer = Peer(talks_s=1.0)
    async with served(peer, pace=lambda _text: 30.0):
        await asyncio.sleep(300)
        assert not peer.is_gone


async def test_a_client_that_speaks_and_answers_no_ping_is_closed_with_a_sentence() -> None:
    """relay-protocol 1.7; one that reads nothing is offered calls in vain. Its pings were remembered for ever."""
    peer = Peer(rtt_s=None, talks_s=1.0)
    async with served(peer):
        await asyncio.sleep(29)
        assert not peer.is_gone
        await asyncio.sleep(20)
        assert (peer.close_code, peer.why) == (1008, "3 pings in a row were not answered: reply to signalwire.ping")


@pytest.mark.parametrize("hailed_s", [None, 0.0, 5.0])
async def test_a_client_that_answers_no_hail_is_not_dead_the_earlier(hailed_s: float | None) -> None:
    peer = Peer(rtt_s=None, talks_s=1.0)
    async with served(peer) as connection:
        if hailed_s is not None:
            asyncio.get_running_loop().call_later(hailed_s, connection.hail)
        await asyncio.sleep(39.9)
        assert not peer.is_gone
        await asyncio.sleep(1)
        assert peer.is_gone


async def test_a_hail_is_a_ping_whose_answer_is_one() -> None:
    peer = Peer(rtt_s=0.01)
    answers: list[bool] = []
    connection = Connection(peer, peer, settings())  # type: ignore[arg-type]

    def receive(text: str) -> float:
        answers.append(connection.took_reply(json.loads(text)["id"]))
        return 0.0

    serving = asyncio.create_task(connection.serve(receive))
    await asyncio.sleep(1)
    connection.hail()
    await asyncio.sleep(1)
    assert answers == [True]
    connection.abort()
    await serving


async def test_a_client_that_answers_the_third_ping_at_the_latest_stays() -> None:
    peer = Peer(rtt_s=None, talks_s=1.0)
    async with served(peer):
        for _ in range(100):
            peer.rtt_s = 0.01 if peer.pinged % 3 == 2 else None
            await asyncio.sleep(1)
        assert peer.pinged >= 9
        assert not peer.is_gone


async def test_a_client_whose_answers_stand_behind_what_is_read_slowly_stays() -> None:
    peer = Peer(rtt_s=0.01, talks_s=0.5)
    async with served(peer, pace=lambda _text: 1.0):
        await asyncio.sleep(300)
        assert not peer.is_gone


async def test_who_says_connect_while_the_node_stands_still_is_let_in(make_node) -> None:
    """What came in meanwhile was thrown away: its time was over before it was read."""
    async with make_node() as node, node.client(connect=False) as client:
        await asyncio.sleep(1)
        await client.ask("signalwire.connect", connect_params(), "hello")
        stand_still(30)
        await client.until(lambda: "hello" in client.responses or client.closed.is_set())
        assert "protocol" in client.responses["hello"]["result"]


@pytest.mark.parametrize("word", ["answer", "request", "ack", "none"])
async def test_an_offer_that_may_be_known_waits_for_the_first_word_of_a_client_that_is_back(make_node, word) -> None:
    """Whatever it says; it is hailed, so that one that has nothing to say says something."""
    async with make_node() as node:
        async with node.client(contexts=["office"]) as client:
            client.acks = False
            node.desk.offer(OfferedCall())
            await client.event("calling.call.receive")
        async with node.client(connect=False) as back:
            back.acks = False
            assert (await back.connect(protocol=client.hello["protocol"]))["session_restored"] is True
            hail = await back.asked("signalwire.ping")
            await asyncio.sleep(3)
            assert not back.events
            if word == "answer":
                await back.send({"jsonrpc": "2.0", "id": hail["id"], "result": {}})
            elif word == "request":
                await back.request("signalwire.ping", {})
            elif word == "ack":
                [state] = [frame for frame in back.frames if frame.get("method") == "signalwire.event"]
                await back.ack(state)
            await asyncio.sleep(0.4)
            assert not back.events
            await asyncio.sleep(0.2)
            assert len(back.events) == (word != "none")


async def test_a_new_session_is_not_hailed(make_node) -> None:
    async with make_node() as node, node.client() as client:
        await asyncio.sleep(1)
        assert [frame for frame in client.requests if frame["method"] == "signalwire.ping"] == []


async def test_an_offer_that_was_acked_while_the_node_stood_still_goes_to_nobody_else(make_node) -> None:
    async with (
        make_node() as node,
        node.client(contexts=["office"]) as client,
        node.client(contexts=["office"]) as other,
    ):
        call = OfferedCall()
        node.desk.offer(call)
        await client.until(lambda: len(client.all_events) + len(other.all_events) == 1)
        stand_still(2.5)
        await asyncio.sleep(1)
        assert len(client.all_events) + len(other.all_events) == 1
        assert [session.is_silent for session in node.gateway._sessions] == [False, False]
