"""A node's calls and verbs on a fake engine: everything real but engine, gateway and speech."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from offhook.errors import CommandRefused, ProviderError
from offhook.node.calls.call import Call
from offhook.node.calls.exchange import Exchange
from offhook.node.calls.ports import Client
from offhook.node.calls.settings import CallSettings, DialSettings, Route, TrunkSettings
from offhook.node.engine.port import EnginePort
from offhook.node.verbs.registry import VerbRegistry
from offhook.testing.engine import FakeEngine
from offhook.testing.ports import FakeAudioFetcher, FakeLinks, FakeOfferDesk, FakeSpeech, RecordingSink

__all__ = ["CLIENT", "NODE", "SETTINGS", "Bench", "open_bench"]

NODE = "node-1"
CLIENT = Client("session-1")
SETTINGS = CallSettings(
    node_id=NODE,
    project_id="project-1",
    routes=[Route("*", "default")],
    dial=DialSettings(["192.0.2.0/24", "pbx.example:5070"]),
    trunk=TrunkSettings("trunk.example", 5080, from_number="+15550000000", allow=["+1"]),
)
HOSTS = {
    "trunk.example": ["198.51.100.1"],
    "pbx.example": ["203.0.113.7"],
    "evil.example": ["10.0.0.1"],
    "two.example": ["192.0.2.1", "192.0.2.2"],
    "half.example": ["10.0.0.1", "192.0.2.2"],
    "many.example": [f"192.0.2.{number}" for number in range(1, 101)],
    "both.example": ["::1", "127.0.0.1"],
    "trunks.example": ["198.51.100.1", "198.51.100.2"],
}


async def resolve(host: str, session: str) -> list[str]:
    """A name server of some names."""
    if host not in HOSTS:
        raise ProviderError(f"{host} is not found: check its name")
    return HOSTS[host]


class Bench:
    """What a test holds."""

    def __init__(self, directory: Path, settings: CallSettings) -> None:
        self.engine = FakeEngine(directory)
        self.wall_ahead_ms = 0
        """What somebody set the machine's clock on by."""
        self.sink = RecordingSink()
        self.desk = FakeOfferDesk()
        self.speech = FakeSpeech(self.engine)
        self.fetcher = FakeAudioFetcher(self.engine)
        self.exchange, self.registry = self.build(settings)

    def build(self, settings: CallSettings, port: EnginePort | None = None) -> tuple[Exchange, VerbRegistry]:
        """A node on this engine; again, for a node that was restarted."""
        exchange = Exchange(port or self.engine, self.sink, self.desk, settings, resolve=resolve, wall_ms=self.now_ms)
        return exchange, VerbRegistry(exchange, self.speech, self.fetcher, FakeLinks())

    def now_ms(self) -> int:
        """The fake engine's clock, where nobody set it."""
        return self.engine.now_us() // 1000 + self.wall_ahead_ms

    def ring(self, **invite: Any) -> Call:
        """An incoming call."""
        leg = self.engine.ring_in(**invite)
        call = self.exchange.calls.by_leg(leg)
        assert call is not None
        return call

    async def talk(self, **invite: Any) -> Call:
        """An incoming call that was answered."""
        call = self.ring(**invite)
        await self.run("calling.answer", call)
        return call

    async def run(self, method: str, call: Call | None = None, **params: Any) -> dict[str, Any]:
        """Run a command, with the address of ``call``."""
        address = {"node_id": NODE, "call_id": call.call_id} if call else {}
        return await self.registry.run(method, address | params, CLIENT)

    async def refused(self, method: str, call: Call | None = None, **params: Any) -> tuple[str, str]:
        """Run a command that must be refused; code and sentence."""
        try:
            result = await self.run(method, call, **params)
        except CommandRefused as error:
            return str(error.code), error.message
        raise AssertionError(f"{method} was accepted: {result}")

    def states(self, call: Call) -> list[str]:
        """States that were told of a call."""
        return [params["call_state"] for params in self.sink.of("calling.call.state", call_id=call.call_id)]

    def told(self, control_id: str, by: RecordingSink | None = None) -> list[str]:
        """What was told of an action, shortly: ``play playing``, ``collect no_input``; ``by`` default: the call."""
        lines = []
        for event in (by or self.sink).events:
            if event.params.get("control_id") == control_id:
                word = event.params.get("result", {}).get("type") or event.params.get("state")
                lines.append(f"{event.event_type.removeprefix('calling.call.')} {word}")
        return lines

    async def ended(self, call: Call) -> dict[str, Any]:
        """Wait for the end of a call; params of ``ended``."""
        return await self.sink.when("calling.call.state", call_id=call.call_id, call_state="ended")


@asynccontextmanager
async def open_bench(directory: Path, **settings: Any) -> AsyncIterator[Bench]:
    """A bench with its engine attached; at the end nothing of it is left."""
    bench = Bench(directory, msgspec.structs.replace(SETTINGS, **settings))
    before = asyncio.all_tasks()
    async with bench.exchange:
        await bench.exchange.attach()
        yield bench
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, left


def control_id() -> str:
    """A fresh one."""
    return str(uuid.uuid4())
