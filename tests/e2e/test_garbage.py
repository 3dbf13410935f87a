"""Garbage on every socket: nothing dies, and a call beside it notices nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from rig.fixtures import Talk
from rig.node import NodeProcess


@asynccontextmanager
async def unnoticed(node: NodeProcess, talk: Talk) -> AsyncIterator[None]:
    """A call goes on, and the same processes live, while the block runs."""
    family = {s.pid for s in node.processes()}
    mark = talk.caller.rtp.mark()
    yield
    await asyncio.sleep(0.3)
    assert talk.caller.rtp.broken(mark) == []
    largest = talk.caller.rtp.largest_stop_ms(mark)
    print(f"largest stop beside garbage: {largest:.1f} ms")
    assert largest < 100
    assert family <= {s.pid for s in node.processes()}
    await talk.relay.command(talk.call, "collect", control_id="k", digits={"max": 1}, initial_timeout=30)
    talk.caller.rtp.digit("3")
    done = await talk.relay.event("collect", lambda e: e.params["control_id"] == "k")
    assert done.params["result"]["params"]["digits"] == "3"


@pytest.mark.judges_time
async def test_garbage_on_the_sip_port_over_udp(node: NodeProcess, talk: Talk) -> None:
    dice = random.Random(1)
    invite = talk.caller.invite_data
    async with unnoticed(node, talk):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for number in range(2000):
                kind = number % 4
                data = bytearray(invite)
                if kind == 0:
                    data = bytearray(dice.randbytes(dice.randint(0, 1400)))
                elif kind == 1:
                    for _ in range(10):
                        data[dice.randrange(len(data))] = dice.randrange(256)
                elif kind == 2:
                    data = data[: dice.randrange(len(data))]
                else:
                    data = bytearray(
                        b"INVITE sip:x SIP/2.0\r\n" + b"Via: SIP/2.0/UDP 127.0.0.1\r\n" * dice.randint(1, 40) + b"\r\n"
                    )
                sock.sendto(bytes(data), node.sip())
                if number % 50 == 0:
                    await asyncio.sleep(0.005)


@pytest.mark.judges_time
async def test_garbage_on_the_sip_port_over_tcp(node: NodeProcess, talk: Talk) -> None:
    dice = random.Random(2)
    starts = [
        b"\r\n\r\n" * 1000,
        b"INVITE sip:x@y SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n",
        b"INVITE sip:x@y SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        b"A" * 200_000,
        dice.randbytes(50_000),
        b"OPTIONS sip:x SIP/2.0\r\n" + b"X: y\r\n" * 50_000,
    ]
    async with unnoticed(node, talk):
        for data in starts * 3:
            _, writer = await asyncio.open_connection(*node.sip("tcp"))
            try:
                writer.write(data)
                await asyncio.wait_for(writer.drain(), 1)
            except (ConnectionError, TimeoutError):
                pass
            writer.transport.abort()
        idle = [await asyncio.open_connection(*node.sip("tcp")) for _ in range(80)]
        await asyncio.sleep(0.2)
        for _, writer in idle:
            writer.transport.abort()


@pytest.mark.judges_time
async def test_garbage_on_the_web_socket(node: NodeProcess, talk: Talk) -> None:
    context = ssl.create_default_context(cafile=str(node.ca_file))
    texts = [
        "",
        "{",
        "[]",
        "null",
        '{"jsonrpc":"2.0"}',
        '{"jsonrpc":"2.0","id":1,"method":"calling.play","params":{}}',
        '{"jsonrpc":"2.0","id":"1","method":"signalwire.connect","params":{"version":[],"authentication":7}}',
        "[" * 20_000,
        json.dumps({"jsonrpc": "2.0", "id": "x" * 100_000, "method": "y"}),
        '{"a":' * 5000 + "1" + "}" * 5000,
    ]
    async with unnoticed(node, talk), aiohttp.ClientSession() as http:
        for text in texts:
            async with http.ws_connect(f"wss://{node.relay_host}/", ssl=context) as ws:
                await ws.send_str(text)
                await ws.send_bytes(b"\x00\xff" * 100)
                answer = await ws.receive(timeout=30)
                assert answer.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
                if answer.type is aiohttp.WSMsgType.TEXT:
                    assert "error" in json.loads(answer.data), answer.data
        async with http.ws_connect(f"wss://{node.relay_host}/", ssl=context) as ws:
            await ws.send_str("x" * (2 << 20))
            closed = await ws.receive(timeout=30)
            assert closed.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", node.relay_port)
            writer.write(random.Random(3).randbytes(2000))
            writer.transport.abort()


@pytest.mark.judges_time
async def test_garbage_on_the_control_socket(node: NodeProcess, talk: Talk) -> None:
    dice = random.Random(4)
    path = socket_path(node)
    frames = [
        dice.randbytes(100),
        struct.pack("!I", 0xFFFFFFFF) + b"x" * 100,
        struct.pack("!I", 2 << 20),
        struct.pack("!I", 10) + dice.randbytes(10),
        struct.pack("!I", 0),
        b"",
    ]
    async with unnoticed(node, talk):
        for data in frames * 5:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(data)
            with contextlib.suppress(TimeoutError, ConnectionError):
                await asyncio.wait_for(reader.read(100), 0.2)
            writer.transport.abort()


def socket_path(node: NodeProcess) -> str:
    """The engine's control socket, as its command line has it."""
    words = node.engine().cmdline.split(" ")
    return words[words.index("--socket") + 1]
