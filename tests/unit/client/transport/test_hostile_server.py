"""Servers that are not who they should be, or do what no server does: nothing is told to them, and nothing breaks."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from offhook.client.transport import connection as module
from offhook.client.transport.connection import make_tls_context
from offhook.client.transport.opening import Resolver, open_wire
from offhook.errors import ConfigurationError
from rig.certificates import Authority
from rig.raw_server import (
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    frame,
    serve_raw,
    shake_hands,
    take_client,
    text,
    until_closed,
)

TOKEN = "PT-9f2c1a77d0"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


@pytest.fixture(autouse=True)
def the_log_has_neither_the_token_nor_a_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    gc.collect()
    said = "\n".join(caplog.handler.format(one) for one in caplog.get_records("call") + caplog.records)
    assert TOKEN not in said
    assert "Traceback" not in said


# --- who is believed -------------------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


async def heard_by(server: object, ca_file: Path | None, host: str = "localhost") -> bytes:
    """What a server hears of a client that trusts these authorities; the client's error comes out."""
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 503 Enough\r\n\r\n")

    tls = make_tls_context(None if ca_file is None else str(ca_file))
    async with serve_raw(listen, server) as port:  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(10):
                await open_wire(f"wss://{host}:{port}", tls, lambda _: None, Resolver())
        except OSError:
            await asyncio.sleep(0.05)
    return bytes(heard)


async def test_a_server_with_a_certificate_of_our_authority_for_its_name_is_spoken_to(authority: Authority) -> None:
    assert b"GET / HTTP/1.1" in await heard_by(authority.server("localhost"), authority.file)
    assert b"GET / HTTP/1.1" in await heard_by(authority.server("127.0.0.1"), authority.file, "127.0.0.1")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda ours, _: ours.server("elsewhere.example"),
        lambda ours, _: ours.server("*"),
        lambda ours, _: ours.server("127.0.0.1"),
        lambda ours, _: ours.server("localhost", begins_in=-9, ends_in=-1),
        lambda ours, _: ours.server("localhost", begins_in=1, ends_in=2),
        lambda ours, _: ours.server("localhost", is_its_own=True),
        lambda _, theirs: theirs.server("localhost"),
    ],
    ids=["another host", "any host", "an address", "expired", "not yet valid", "self-signed", "another authority"],
)
async def test_no_byte_goes_to_a_server_with_another_certificate(
    wrong: Callable[[Authority, Authority], object], authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "theirs")
    assert await heard_by(wrong(authority, other), authority.file) == b""


async def test_nor_to_one_whose_authority_was_not_named_or_by_an_address_it_does_not_have(
    authority: Authority,
) -> None:
    assert await heard_by(authority.server("localhost"), None) == b""
    assert await heard_by(authority.server("localhost"), authority.file, "127.0.0.1") == b""


@pytest.mark.parametrize(
    "host",
    [
        *("ws://node.example", "ws://192.0.2.1:80", "ws://127.0.0.1.example", "ws://localhost.example", "ws://[::2]"),
        *("a@node.example", "node.example/path", "node.example\r\nHost: x", "wss://a:b@node.example", "node.example?x"),
    ],
)
def test_a_place_that_would_get_the_token_in_clear_or_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        RelayClient("project", TOKEN, host)
    assert TOKEN not in str(refused.value)


# --- handshakes ----------------------------------------------------------------------------------------------------


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 101 Switching Protocols\r\n" * 100:
        writer.write(bytes((byte,)))
        await asyncio.sleep(0.01)


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0)


def answering(answer: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()

    return script


ACCEPT = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
WRONG_HANDSHAKES: dict[str, Script] = {
    "silent": silent,
    "slow": slow,
    "endless": endless,
    "redirect": answering(b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
    "page": answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "refusal with an endless body": answering(b"HTTP/1.1 401 No\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 100_000),
    "wrong accept": answering(ACCEPT + b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"),
    "no accept": answering(ACCEPT + b"\r\n"),
    "garbage": answering(b"\0\xff" * 1000 + b"\r\n\r\n"),
    "tls": answering(b"\x15\x03\x01\x00\x02\x02\x28"),
}


@pytest.mark.parametrize("wrong", WRONG_HANDSHAKES)
async def test_a_client_tries_again_after_any_handshake_that_is_none(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_OPEN_TIMEOUT_S", 0.3)
    tries = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            await WRONG_HANDSHAKES[wrong](reader, writer)
        else:
            await take_client(reader, writer)
            await until_closed(reader, writer)

    async with serve_raw(script) as port:
        client = RelayClient("project", TOKEN, f"ws://127.0.0.1:{port}")
        async with asyncio.timeout(20):
            await client.connect()
        assert client.is_connected
        assert TOKEN not in repr(client)
        await client.disconnect()
    assert tries == 3


async def test_a_server_that_takes_the_socket_and_never_the_client_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        await until_closed(reader, writer)

    async with serve_raw(never) as port:
        client = RelayClient("project", TOKEN, f"ws://127.0.0.1:{port}")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.connect(), 0.5)
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("offhook")]


# --- frames ----------------------------------------------------------------------------------------------------------


def offer(call_id: str) -> bytes:
    params = {"call_id": call_id, "node_id": "raw", "call_state": "created", "direction": "inbound"}
    return text(
        id=f"e-{call_id}", method="signalwire.event", params={"event_type": "calling.call.receive", "params": params}
    )


IGNORED = {
    "no JSON": frame(TEXT, b"{"),
    "no text": frame(TEXT, b"\xff\xfe\xff"),
    "empty": frame(TEXT),
    "binary": frame(0x2, b"\0\1\2"),
    "a number": frame(TEXT, b"7"),
    "deep": frame(TEXT, b"[" * 100_000 + b"]" * 100_000),
    "a reserved bit": bytes((0xC1, 0)),
    "a batch": frame(TEXT, b"[{},{}]"),
    "a stray part": frame(CONTINUATION, b"x"),
    "pongs": frame(PONG, b"?") * 100,
    "pings": frame(PING, b"?") * 100,
    "another's reply": text(id="nobody", result={"code": "200"}),
    "a reply twice": text(id="id1", result={"code": "200"}) * 2,
    "an event of the wrong types": text(
        id="w", method="signalwire.event", params={"event_type": "calling.call.state", "params": {"call_id": 7}}
    ),
    "an event without its envelope": text(id="x", method="signalwire.event", params=[]),
    "an unknown method": text(id="y", method="signalwire.dance", params={}),
    "a method that is ours": text(id="z", method="signalwire.connect", params={}),
}
FATAL = {
    "an unknown opcode": frame(0x3, b"x"),
    "a masked frame": bytes((0x81, 0x80, 1, 2, 3, 4)),
    "a control frame in parts": frame(PING, b"x", fin=False),
    "a control frame that is too long": bytes((0x89, 126)) + (200).to_bytes(2) + b"x" * 200,
    "a length of 2^62": bytes((0x81, 127)) + (1 << 62).to_bytes(8),
    "a length of 2^63": bytes((0x81, 127)) + (1 << 63).to_bytes(8),
    "eleven megabytes": frame(TEXT, b"x" * 11_000_000),
    "a close without a code": frame(CLOSE),
    "a close with half a code": frame(CLOSE, b"\x03"),
    "a close with a forbidden code": frame(CLOSE, (1006).to_bytes(2)),
    "a close whose reason is no text": frame(CLOSE, (1000).to_bytes(2) + b"\xff"),
    "a close and more": frame(CLOSE, (1000).to_bytes(2)) + frame(TEXT, b"{}"),
}


class Survivor:
    """A client that gets garbage on its first socket, and a call afterwards."""

    def __init__(self) -> None:
        self.sockets = 0
        self.seen: list[str] = []
        self.call = asyncio.Event()

    async def survive(self, garbage: bytes, *, on_the_same_socket: bool) -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.sockets += 1
            is_first = self.sockets == 1
            calls = offer("c1") if on_the_same_socket or not is_first else b""
            await take_client(reader, writer, (garbage if is_first else b"") + calls + frame(PING))
            await until_closed(reader, writer)

        async with serve_raw(script) as port:
            client = RelayClient("project", TOKEN, f"ws://127.0.0.1:{port}", ["default"])
            client.on_call(self.handle)
            async with asyncio.timeout(20):
                await client.connect()
                await self.call.wait()
            assert client._tasks.failures == 0
            await client.disconnect(0)

    async def handle(self, call: Call) -> None:
        self.seen.append(call.call_id)
        self.call.set()


@pytest.mark.parametrize("kind", IGNORED)
async def test_frames_that_mean_nothing_to_us_are_ignored(kind: str) -> None:
    survivor = Survivor()
    await survivor.survive(IGNORED[kind], on_the_same_socket=True)
    assert (survivor.sockets, survivor.seen) == (1, ["c1"])


@pytest.mark.parametrize("kind", FATAL)
async def test_after_frames_that_no_server_may_send_the_client_connects_again(kind: str) -> None:
    survivor = Survivor()
    await survivor.survive(FATAL[kind], on_the_same_socket=False)
    assert (survivor.sockets, survivor.seen) == (2, ["c1"])


async def test_what_comes_with_the_handshake_is_heard_too() -> None:
    """An event that came before the client had taken its socket in hand was not even acked."""
    caught = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer_is_early = EarlyWriter(writer, offer("c1"))
        await take_client(reader, writer_is_early)  # type: ignore[arg-type]
        await until_closed(reader, writer)

    async def handle(_: Call) -> None:
        caught.set()

    async with serve_raw(script) as port:
        client = RelayClient("project", TOKEN, f"ws://127.0.0.1:{port}", ["default"])
        client.on_call(handle)
        async with asyncio.timeout(10):
            await client.connect()
            await caught.wait()
        await client.disconnect(0)


class EarlyWriter:
    """Writes something in the same piece as the handshake."""

    def __init__(self, writer: asyncio.StreamWriter, early: bytes) -> None:
        self._writer = writer
        self._early = early

    def write(self, data: bytes) -> None:
        early, self._early = self._early, b""
        self._writer.write(data + early)
