"""A node's calls and a client of it, measured for a while: alone, and with strangers at the door."""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass, field

from rig.load import Load, LoadedCall
from rig.node import NodeProcess
from rig.relay import RelayPeer
from rig.strangers import Strangers

__all__ = ["Measured", "measure"]

PING_EACH_S = 0.05
CONNECT_EACH_S = 1.0
SIEGE_S = 90.0
"""Until strangers are many, at most."""


@dataclass
class Measured:
    """Times in seconds, gaps in milliseconds."""

    pings: list[float] = field(default_factory=list)
    connects: list[float] = field(default_factory=list)
    calls: list[LoadedCall] = field(default_factory=list)
    strangers: dict[str, int] = field(default_factory=dict)

    @property
    def ping_ms(self) -> float:
        return statistics.median(self.pings) * 1000

    @property
    def failures(self) -> list[str]:
        return [call.failure for call in self.calls if call.failure]

    @property
    def packets(self) -> int:
        return sum(call.received for call in self.calls)

    @property
    def lost(self) -> int:
        return sum(call.lost for call in self.calls)

    @property
    def gaps_ms(self) -> list[float]:
        return [call.largest_gap_ms for call in self.calls]

    def __str__(self) -> str:
        pings, connects = self.pings or [0.0], self.connects or [0.0]
        return (
            f"{len(self.calls)} calls, {len(self.failures)} failed; {self.packets} packets, {self.lost} lost, "
            f"largest gap {max(self.gaps_ms, default=0.0):.0f} ms; "
            f"ping {statistics.median(pings) * 1000:.1f} ms median, {max(pings) * 1000:.0f} worst of {len(pings)}; "
            f"connect {statistics.median(connects) * 1000:.0f} ms median, {max(connects) * 1000:.0f} worst of "
            f"{len(connects)}; strangers {self.strangers}"
        )


async def measure(node: NodeProcess, seconds: float, *, calls_per_s: float, with_strangers: bool) -> Measured:
    """New calls at a rate, each held for a fifth of the time; pings of one client; a new client each second."""
    found = Measured()
    strangers = None
    if with_strangers:
        strangers = Strangers("127.0.0.1", node.relay_port, 2 * seconds + SIEGE_S)
        await asyncio.to_thread(strangers.wait_until_many)
    load = Load(node.sip(), calls_per_s, int(seconds * calls_per_s), hold_s=seconds / 5, limit_s=seconds * 2 + 30)
    async with RelayPeer(node, contexts=[]) as client:
        calling = asyncio.create_task(asyncio.to_thread(load.run))
        pinging = asyncio.create_task(_ping(client, found, seconds))
        connecting = asyncio.create_task(_connect(node, found, seconds))
        await asyncio.gather(pinging, connecting)
        found.calls = await calling
    if strangers is not None:
        found.strangers = await asyncio.to_thread(strangers.close)
    return found


async def _ping(client: RelayPeer, found: Measured, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        began_at = loop.time()
        await client.request("signalwire.ping", {})
        found.pings.append(loop.time() - began_at)
        await asyncio.sleep(PING_EACH_S)


async def _connect(node: NodeProcess, found: Measured, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        began_at = loop.time()
        async with RelayPeer(node, contexts=[]) as client:
            found.connects.append(loop.time() - began_at)
            assert client.protocol
        await asyncio.sleep(CONNECT_EACH_S)
