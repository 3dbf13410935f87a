"""The client's WebSocket on real sockets: messages whole and in order, and every end with its reason."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from offhook.client.transport import opening
from offhook.client.transport import wire as module
from offhook.client.transport.opening import Resolver, open_wire
from offhook.client.transport.wire import Wire, frame_texts

Serve = Callable[[WSTransport], None]


class Server(WSListener):
    """Does a thing when somebody connects, and keeps what it hears."""

    def __init__(self, serve: Serve, heard: list[tuple[WSMsgType, bytes]]) -> None:
        self.serve, self.heard = serve, heard

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.serve(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.heard.append((frame.msg_type, frame.get_payload_as_bytes()))
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


class Bench:
    """A server, the client's wire to it, and what came."""

    def __init__(self) -> None:
        self.came: list[bytes] = []
        self.heard: list[tuple[WSMsgType, bytes]] = []
        self.news = asyncio.Event()

    async def open(self, serve: Serve = lambda _: None) -> Wire:
        self.server = await ws_create_server(lambda _: Server(serve, self.heard), "127.0.0.1", 0, use_aiofastnet=False)
        port = self.server.sockets[0].getsockname()[1]
        self.wire = await open_wire(f"ws://127.0.0.1:{port}", None, self.take, Resolver())
        self.wire.begin()
        return self.wire

    def take(self, messages: list[bytes]) -> None:
        self.came += messages
        self.news.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.came) < count:
                self.news.clear()
                await self.news.wait()


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.wire.close(0)
    bench.server.close()
    await bench.server.wait_closed()


async def test_messages_come_whole_whatever_frames_they_are_in(bench: Bench) -> None:
    def serve(transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, b"one ", fin=False)
        transport.send(WSMsgType.PING, b"between")
        transport.send(WSMsgType.CONTINUATION, b"mess", fin=False)
        transport.send(WSMsgType.CONTINUATION, b"age")
        transport.send(WSMsgType.BINARY, b"two")
        transport.send(WSMsgType.TEXT, b"")

    await bench.open(serve)
    await bench.until(3)
    assert bench.came == [b"one message", b"two", b""]


async def test_messages_that_follow_close_upon_each_other_come_all_and_in_order_and_so_does_the_end(
    bench: Bench,
) -> None:
    """Reading pauses between them."""
    transports: list[WSTransport] = []
    wire = await bench.open(transports.append)
    texts = [b"%d" % number for number in range(300)]
    for text in texts:
        transports[0].send(WSMsgType.TEXT, text)
        await asyncio.sleep(0)
    transports[0].send_close(WSCloseCode.GOING_AWAY)
    assert await asyncio.wait_for(wire.lost, 30) == "the server closed the socket (code 1001)"
    assert bench.came == texts


async def test_what_is_sent_arrives_in_order_and_goodbye_is_said(bench: Bench) -> None:
    wire = await bench.open()
    texts = ["", *("größe" * number for number in range(60)), "x" * 125, "x" * 126, "y" * 65_535, "z" * 65_536]
    for number, text in enumerate(texts):
        wire.outgoing.append(text.encode())
        if number % 3 == 0:
            wire.flush()
    await wire.close(5)
    assert [text.decode() for kind, text in bench.heard if kind == WSMsgType.TEXT] == texts
    assert bench.heard[-1] == (WSMsgType.CLOSE, (1000).to_bytes(2, "big"))
    wire.outgoing.append(b"late")
    wire.flush()
    assert wire.lost.done()


def test_each_message_is_masked_with_a_key_of_its_own() -> None:
    """RFC 6455, 5.3: unpredictable, and fresh for every frame."""
    framed = [frame_texts([b"same", b"same"]) for _ in range(50)]
    halves = [half for one in framed for half in (one[:10], one[10:])]
    assert all(half[:2] == b"\x81\x84" and half[6:] != b"same" for half in halves)
    assert len({half[2:6] for half in halves}) == len(halves)


async def test_a_server_that_closes_says_its_code_after_its_last_message(bench: Bench) -> None:
    def serve(transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, b"last")
        transport.send_close(WSCloseCode.GOING_AWAY)

    wire = await bench.open(serve)
    assert await asyncio.wait_for(wire.lost, 30) == "the server closed the socket (code 1001)"
    assert bench.came == [b"last"]


async def test_a_server_that_goes_without_a_word_is_an_end_too(bench: Bench) -> None:
    wire = await bench.open(lambda transport: transport.disconnect(graceful=False))
    assert await asyncio.wait_for(wire.lost, 30) == "the server closed the socket"


@pytest.mark.parametrize("sizes", [[101], [60, 60]])
async def test_a_message_over_the_limit_ends_the_connection(
    bench: Bench, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_MESSAGE_BYTES", 100)
    monkeypatch.setattr(opening, "MAX_MESSAGE_BYTES", 100)

    def serve(transport: WSTransport) -> None:
        for number, size in enumerate(sizes):
            kind = WSMsgType.CONTINUATION if number else WSMsgType.TEXT
            transport.send(kind, b"x" * size, fin=number == len(sizes) - 1)
        transport.send(WSMsgType.TEXT, b"after")

    wire = await bench.open(serve)
    await asyncio.wait_for(wire.lost, 30)
    assert bench.came == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "503"),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "302"),
        (b"SIP/2.0 400 What\r\n\r\n", ""),
        (b"", ""),
    ],
)
async def test_what_is_no_websocket_is_a_connection_error_that_says_so(answer: bytes, reason: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OSError, match=reason or ".+"):
            await asyncio.wait_for(open_wire(f"ws://127.0.0.1:{port}", None, lambda _: None, Resolver()), 30)


async def test_a_connect_given_up_on_the_way_leaves_no_socket(bench: Bench) -> None:
    """asyncio's happy eyeballs (3.11) forgot the socket of a connect that was cancelled when it had just succeeded."""
    await bench.open()
    port = bench.server.sockets[0].getsockname()[1]
    with warnings.catch_warnings(record=True) as left_open:
        warnings.simplefilter("always", ResourceWarning)
        for steps in range(40):
            connecting = asyncio.create_task(open_wire(f"ws://localhost:{port}", None, bench.take, Resolver()))
            for _ in range(steps):
                await asyncio.sleep(0)
            connecting.cancel()
            result = (await asyncio.gather(connecting, return_exceptions=True))[0]
            if isinstance(result, Wire):
                await result.close(0)
        await asyncio.sleep(0.05)
        gc.collect()
    assert [str(warning.message) for warning in left_open] == []


async def test_a_server_that_never_answers_the_handshake_is_hung_up_on(bench: Bench) -> None:
    """Each try to connect that timed out left a socket open for as long as the server liked."""
    await bench.open()
    hung_up = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        hung_up.set()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as mute:
        port = mute.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(open_wire(f"ws://127.0.0.1:{port}", None, bench.take, Resolver()), 0.1)
        await asyncio.wait_for(hung_up.wait(), 30)
