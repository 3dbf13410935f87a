"""The client's WebSocket with servers that nobody here wrote: frames in any order, floods, and nobody who reads."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import pytest

from offhook.client.transport import wire as module
from offhook.client.transport.opening import Resolver, open_wire
from offhook.client.transport.wire import Wire
from rig.raw_server import CLOSE, CONTINUATION, PING, PONG, TEXT, frame, serve_raw, shake_hands, upgrade


class Peer:
    """What the client got, and what the server heard of it."""

    def __init__(self) -> None:
        self.came: list[bytes] = []
        self.news = asyncio.Event()
        self.heard = bytearray()
        self.wire: Wire | None = None

    def take(self, messages: list[bytes]) -> None:
        self.came += messages
        self.news.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.came) < count:
                self.news.clear()
                await self.news.wait()

    async def listen(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(4096):
            self.heard += data

    def pongs(self) -> list[bytes]:
        """Payloads of the pongs that came, unmasked."""
        found, rest = [], bytes(self.heard)
        while rest:
            size, key = rest[1] & 0x7F, rest[2:6]
            if rest[0] == 0x80 | PONG:
                found.append(bytes(byte ^ key[at % 4] for at, byte in enumerate(rest[6 : 6 + size])))
            rest = rest[6 + size :]
        return found


@contextlib.asynccontextmanager
async def served(*writes: bytes, with_handshake: bool = False) -> AsyncIterator[Peer]:
    """A client's wire to a server that writes this, each in one piece, and listens."""
    peer = Peer()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await upgrade(reader)
        first, *rest = writes
        if with_handshake:
            writer.write(head + first)
        else:
            writer.write(head)
            await asyncio.sleep(0.02)
            writer.write(first)
        for one in rest:
            await asyncio.sleep(0.02)
            writer.write(one)
        await peer.listen(reader)

    async with serve_raw(script) as port:
        peer.wire = await open_wire(f"ws://127.0.0.1:{port}", None, peer.take, Resolver())
        peer.wire.begin()
        try:
            yield peer
        finally:
            await peer.wire.close(0)


@pytest.mark.parametrize("control", [PING, PONG], ids=["ping", "pong"])
@pytest.mark.parametrize("with_handshake", [False, True])
@pytest.mark.parametrize(
    "pieces",
    [["text", "control"], ["control", "text"], ["text", "control", "control"], ["begin", "control", "end", "control"]],
    ids=lambda pieces: "+".join(pieces),
)
async def test_a_message_comes_whatever_control_frames_share_its_write(
    pieces: list[str], with_handshake: bool, control: int
) -> None:
    """A PING behind a message in one read kept it back until the next message came."""
    frames = {
        "text": frame(TEXT, b"hello"),
        "begin": frame(TEXT, b"hel", fin=False),
        "end": frame(CONTINUATION, b"lo"),
        "control": frame(control, b"now"),
    }
    async with served(b"".join(frames[piece] for piece in pieces), with_handshake=with_handshake) as peer:
        await peer.until(1)
        assert peer.came == [b"hello"]


async def test_a_ping_is_answered_with_what_it_brought_and_many_at_once_by_the_last() -> None:
    """RFC 6455, 5.5.3: a pong may answer the most recent ping alone."""
    many = b"".join(frame(PING, b"%d" % number) for number in range(50))
    async with served(frame(PING, b"one"), many + frame(TEXT, b"last")) as peer:
        await peer.until(1)
        async with asyncio.timeout(5):
            while b"49" not in peer.pongs():
                await asyncio.sleep(0.01)
        assert peer.pongs() == [b"one", b"49"]


async def test_a_close_behind_a_message_and_a_ping_leaves_the_message() -> None:
    async with served(frame(TEXT, b"last") + frame(PING) + frame(CLOSE, (1001).to_bytes(2))) as peer:
        assert peer.wire is not None
        assert await asyncio.wait_for(peer.wire.lost, 30) == "the server closed the socket (code 1001)"
        assert peer.came == [b"last"]


@pytest.mark.parametrize("size", [0, 1])
async def test_a_message_in_too_many_parts_ends_the_connection(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts without a byte were counted nowhere, those of one byte took fifty each."""
    monkeypatch.setattr(module, "_MAX_PARTS", 1_000)
    parts = frame(TEXT, fin=False) + frame(CONTINUATION, b"x" * size, fin=False) * 1_001
    async with served(parts + frame(CONTINUATION)) as peer:
        assert peer.wire is not None
        reason = await asyncio.wait_for(peer.wire.lost, 30)
        assert reason == "the server sent a message in more than 1000 parts"
        assert peer.came == []


async def test_a_message_in_as_many_parts_as_are_allowed_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_PARTS", 1_000)
    whole = frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", fin=False) * 998 + frame(CONTINUATION, b"c")
    async with served(whole + whole) as peer:
        await peer.until(2)
        assert peer.came == [b"a" + b"b" * 998 + b"c"] * 2


async def test_a_server_that_does_not_read_is_left_when_too_much_waits_to_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waited for it grew by a hundred megabytes a second."""
    monkeypatch.setattr(module, "_MAX_UNSENT_BYTES", 100_000)
    wire_is_lost = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(1_000):
            if wire_is_lost.is_set():
                break
            writer.write(frame(TEXT, b"x" * 60_000))
            await writer.drain()

    def answer(messages: list[bytes]) -> None:
        wire.outgoing += messages
        wire.flush()

    async with serve_raw(script) as port:
        wire = await open_wire(f"ws://127.0.0.1:{port}", None, answer, Resolver())
        wire.begin()
        try:
            reason = await asyncio.wait_for(asyncio.shield(wire.lost), 30)
        finally:
            wire_is_lost.set()
            await wire.close(0)
    found = re.fullmatch(r"the server does not read: (\d+) bytes wait to be written", reason)
    assert found is not None
    assert 100_000 < int(found[1]) < 100_000 + 4 * 2**20  # beyond it: the answers to what one read brought


async def test_pongs_are_within_the_same_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_UNSENT_BYTES", -1)  # also what is written at once is too much
    async with served(frame(PING, b"x")) as peer:
        assert peer.wire is not None
        reason = await asyncio.wait_for(peer.wire.lost, 30)
        assert reason == "the server does not read: 0 bytes wait to be written"
        assert peer.heard == b""
