"""The names of a node: what they are for keeps them apart."""

from __future__ import annotations

import asyncio

import pytest

from offhook.errors import ProviderError
from offhook.node.names.node import NodeNames

pytestmark = pytest.mark.virtual_clock


class NameServers:
    """``trunk.example`` is known, while they answer; all other names are silent for twenty seconds."""

    def __init__(self) -> None:
        self.is_silent = False
        self.asked: list[str] = []

    async def look_up(self, name: str) -> list[str]:
        self.asked.append(name)
        if self.is_silent or name != "trunk.example":
            await asyncio.sleep(20)
            raise OSError
        return ["198.51.100.1"]


async def test_silent_names_of_urls_and_devices_leave_the_trunk_alone() -> None:
    """After twelve silent URLs a dial by the trunk's name was "not found", for twenty seconds."""
    servers = NameServers()
    names = NodeNames(dial_s=2.0, fetch_s=2.0, look_up=servers.look_up)
    silent = [names.of_url(f"url{number}.example", f"call {number}") for number in range(100)]
    silent += [names.of_call(f"device{number}.example", f"session {number}") for number in range(100)]
    waiting = asyncio.gather(*silent, return_exceptions=True)
    await asyncio.sleep(1)
    begun = asyncio.get_running_loop().time()
    assert await names.of_call("trunk.example", "") == ["198.51.100.1"]
    assert asyncio.get_running_loop().time() == begun
    ends = await waiting
    assert all(isinstance(end, ProviderError) and "was not resolved in 2 s" in str(end) for end in ends)
    assert len(servers.asked) == 129
    await names.close()


async def test_eight_silent_devices_of_a_session_leave_it_its_other_names() -> None:
    servers = NameServers()
    names = NodeNames(dial_s=2.0, fetch_s=2.0, look_up=servers.look_up)
    silent = asyncio.gather(
        *(names.of_call(f"{number}.example", "session") for number in range(8)), return_exceptions=True
    )
    await asyncio.sleep(1)
    assert await names.of_call("trunk.example", "session") == ["198.51.100.1"]
    await silent
    await names.close()


async def test_the_trunks_name_is_kept_so_that_it_serves_whenever_its_servers_fall_silent() -> None:
    servers = NameServers()
    names = NodeNames(dial_s=2.0, fetch_s=2.0, look_up=servers.look_up)
    keeping = asyncio.create_task(names.keep("trunk.example"))
    await asyncio.sleep(3 * 3600)
    servers.is_silent = True
    await asyncio.sleep(1800)
    assert await names.of_call("trunk.example", "") == ["198.51.100.1"]
    keeping.cancel()
    await names.close()
