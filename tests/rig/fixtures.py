"""Fixtures of the end-to-end and interop tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from rig import audio
from rig.demo import Demos
from rig.dialog import Caller
from rig.node import NodeProcess, running_node
from rig.opened import close_all
from rig.relay import Event, RelayPeer

__all__ = [
    "AudioServer",
    "Callers",
    "Talk",
    "answered",
    "audio_server",
    "callers",
    "demos",
    "node",
    "offer",
    "relay",
    "talk",
]


Callers = Callable[..., Awaitable[Caller]]


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """One node for all tests that leave it as they found it; its log is at its most verbose."""
    with running_node(tmp_path_factory.mktemp("node"), extra={"OFFHOOK_LOG_LEVEL": "debug"}) as running:
        yield running


@pytest.fixture(scope="session")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demos]:
    """The demo and its variants: started where a test waits for long, judged later."""
    started = Demos(tmp_path_factory.mktemp("demos"))
    yield started
    started.close()


@pytest.fixture(autouse=True)
async def nothing_stays_open() -> AsyncIterator[None]:
    """Sockets of a test that failed half-way are closed on its own event loop."""
    yield
    close_all()
    await asyncio.sleep(0)


@pytest.fixture
async def relay(node: NodeProcess) -> AsyncIterator[RelayPeer]:
    """A session of the tests' own on context ``default``."""
    async with RelayPeer(node) as peer:
        yield peer


@pytest.fixture
async def callers(node: NodeProcess) -> AsyncIterator[Callable[..., Awaitable[Caller]]]:
    """Makes callers and closes them."""
    made: list[Caller] = []

    async def make(transport: str = "udp", to: str = "100") -> Caller:
        made.append(await Caller.open(node.sip(transport), transport=transport, to=to))
        made[-1].rtp.watch(node.engine().pid)
        return made[-1]

    yield make
    for caller in made:
        caller.close()


@dataclass
class Talk:
    """An answered call: the offer as the client saw it, and the caller."""

    call: Event
    caller: Caller
    relay: RelayPeer


async def offer(caller: Caller, relay: RelayPeer, body: str | None = None) -> Event:
    """INVITE, and the ``receive`` that it makes: not that of a call before, which the node may not know to be over."""
    caller.rtp.watch(relay.node.engine().pid)
    caller.invite(body)
    uri = caller.sip.uri.partition(";")[0]
    receive = await relay.event("receive", lambda e: e.params["device"]["params"].get("from") == uri)
    receive.params.setdefault("context", "")
    return receive


async def answered(caller: Caller, relay: RelayPeer, body: str | None = None) -> Talk:
    """A call from INVITE to ACK, answered by hand over RELAY."""
    call = await offer(caller, relay, body)
    await relay.command(call, "answer")
    await caller.accept()
    await relay.state(call, "answered")
    return Talk(call, caller, relay)


@pytest.fixture
async def talk(callers: Callable[..., Awaitable[Caller]], relay: RelayPeer) -> AsyncIterator[Talk]:
    """One answered call, hung up by the caller at the end if it still lives."""
    made = await answered(await callers(), relay)
    yield made
    states = [e.state for e in relay.of_call(made.call.call_id) if e.type == "calling.call.state"]
    if "ended" not in states:
        await made.caller.bye()
        await relay.state(made.call, "ended")


@dataclass
class AudioServer:
    """Files over HTTP on loopback, for ``audio`` items."""

    directory: Path
    port: int

    def publish(self, name: str, samples: audio.Samples, rate_hz: int = audio.RATE_HZ) -> str:
        """Write a WAV; its URL."""
        audio.write_wav(self.directory / name, samples, rate_hz)
        return f"http://127.0.0.1:{self.port}/{name}"


@pytest.fixture
async def audio_server(tmp_path: Path) -> AsyncIterator[AudioServer]:
    directory = tmp_path / "audio"
    directory.mkdir()
    app = web.Application()
    app.router.add_static("/", directory)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield AudioServer(directory, port)
    await asyncio.wait_for(runner.cleanup(), 30)
