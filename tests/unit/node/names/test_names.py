"""Names on virtual time: who waits for whom, what is remembered, and for how long."""

from __future__ import annotations

import asyncio
import socket

import pytest

from offhook.errors import MachineError, ProviderError
from offhook.node.names.names import NameLimits, Names

pytestmark = pytest.mark.virtual_clock


class NameServers:
    """Answers by name: addresses or a failure, after a while; silent ones give up after ten seconds."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {"trunk.example": ["198.51.100.1"]}
        self.takes_s = 0.1
        self.failure: int | None = None
        self.asked: list[str] = []
        self.running = 0
        self.most = 0

    async def look_up(self, name: str) -> list[str]:
        self.asked.append(name)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if name.startswith("silent"):
                await asyncio.sleep(10)
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            await asyncio.sleep(self.takes_s)
        finally:
            self.running -= 1
        if self.failure is not None:
            raise socket.gaierror(self.failure, "no")
        if name not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.addresses[name]


@pytest.fixture
def servers() -> NameServers:
    return NameServers()


def names(servers: NameServers, **limits: float) -> Names:
    return Names(NameLimits(**limits), servers.look_up)  # type: ignore[arg-type]


async def test_a_name_is_asked_for_once_while_its_answer_is_fresh(servers: NameServers) -> None:
    """Also in other letters: names have no case (RFC 4343)."""
    known = names(servers, fresh_s=30.0)
    first = await asyncio.gather(*(known.resolve("trunk.example", f"call {number}") for number in range(5)))
    assert first == [["198.51.100.1"]] * 5
    assert await known.resolve("TRUNK.example", "call") == ["198.51.100.1"]
    assert servers.asked == ["trunk.example"]
    await asyncio.sleep(31)
    await known.resolve("trunk.example", "call")
    assert len(servers.asked) == 2


async def test_an_address_is_its_own(servers: NameServers) -> None:
    assert await names(servers).resolve("192.0.2.1", "") == ["192.0.2.1"]
    assert await names(servers).resolve("2001:db8::1", "") == ["2001:db8::1"]
    assert servers.asked == []


async def test_not_found_not_in_time_and_servers_that_fail_are_told_apart(servers: NameServers) -> None:
    known = names(servers)
    with pytest.raises(ProviderError, match=r"nobody\.example is not found: check its name"):
        await known.resolve("nobody.example", "")
    with pytest.raises(ProviderError, match=r"silent\.example was not resolved in 2 s \(its name servers are silent"):
        await known.resolve("silent.example", "")
    servers.failure = socket.EAI_AGAIN
    with pytest.raises(ProviderError, match=r"trunk\.example cannot be resolved now \(its name servers fail"):
        await known.resolve("trunk.example", "")
    servers.addresses["empty.example"], servers.failure = [], None
    with pytest.raises(ProviderError, match=r"empty\.example has no address"):
        await known.resolve("empty.example", "")


async def test_a_failure_is_the_answer_for_some_seconds_only(servers: NameServers) -> None:
    known = names(servers, failed_s=5.0)
    for _ in range(3):
        with pytest.raises(ProviderError):
            await known.resolve("new.example", "")
    assert len(servers.asked) == 1
    servers.addresses["new.example"] = ["192.0.2.9"]
    await asyncio.sleep(5)
    assert await known.resolve("new.example", "") == ["192.0.2.9"]


async def test_silent_names_of_one_asker_keep_no_other_from_its_answer(servers: NameServers) -> None:
    """uvloop resolves in four threads for all: four silent names of one URL stopped every dial for 20 s."""
    known = names(servers, parallel=8, per_asker=4)
    silent = [asyncio.create_task(known.resolve(f"silent{number}.example", "loud")) for number in range(12)]
    await asyncio.sleep(1)
    begun = asyncio.get_running_loop().time()
    assert await known.resolve("trunk.example", "quiet") == ["198.51.100.1"]
    assert asyncio.get_running_loop().time() - begun < 0.2
    ends = await asyncio.gather(*silent, return_exceptions=True)
    assert all("was not resolved in 2 s" in str(end) for end in ends)


async def test_what_nobody_waits_for_any_more_counts_until_it_ends(servers: NameServers) -> None:
    """A thread in getaddrinfo cannot be stopped: the time-out frees the asker, not the thread."""
    known = names(servers, parallel=4)
    for turn in range(5):
        silent = [known.resolve(f"silent{turn}-{number}.example", f"{turn} {number}") for number in range(4)]
        await asyncio.gather(*silent, return_exceptions=True)
    assert servers.most == 4
    assert len(servers.asked) == 4
    await asyncio.sleep(10)
    assert await known.resolve("trunk.example", "") == ["198.51.100.1"]


async def test_an_answer_that_comes_late_is_remembered_and_equal_names_wait_for_it_together(
    servers: NameServers,
) -> None:
    servers.takes_s = 3.0
    known = names(servers)
    with pytest.raises(ProviderError, match="not resolved in 2 s"):
        await known.resolve("trunk.example", "a")
    assert await known.resolve("trunk.example", "b") == ["198.51.100.1"]
    assert servers.asked == ["trunk.example"]


async def test_who_waits_no_more_takes_nothing_from_those_who_wait_for_the_same(servers: NameServers) -> None:
    known = names(servers)
    first = asyncio.create_task(known.resolve("trunk.example", "a"))
    await asyncio.sleep(0)
    second = asyncio.create_task(known.resolve("trunk.example", "b"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == ["198.51.100.1"]


async def test_a_name_whose_only_asker_left_before_its_turn_is_not_looked_up(servers: NameServers) -> None:
    known = names(servers, parallel=1)
    running = asyncio.create_task(known.resolve("silent.example", "a"))
    await asyncio.sleep(0.1)
    leaving = asyncio.create_task(known.resolve("trunk.example", "b"))
    await asyncio.sleep(0.1)
    leaving.cancel()
    again = asyncio.create_task(known.resolve("trunk.example", "c"))
    await asyncio.gather(running, leaving, again, return_exceptions=True)
    assert "not resolved in 2 s" in str(again.exception())
    assert servers.asked == ["silent.example"]


@pytest.mark.parametrize("failure", [socket.EAI_NONAME, socket.EAI_AGAIN])
async def test_the_last_addresses_serve_for_an_hour_while_the_servers_fail(servers: NameServers, failure: int) -> None:
    """A name that flaps, and servers that say no, end no call of a trunk (RFC 8767)."""
    known = names(servers, stale_s=3600.0)
    await known.resolve("trunk.example", "")
    servers.failure = failure
    for _ in range(10):
        await asyncio.sleep(300)
        assert await known.resolve("trunk.example", "") == ["198.51.100.1"]
    servers.failure, servers.addresses["trunk.example"] = None, ["198.51.100.2"]
    await asyncio.sleep(6)
    assert await known.resolve("trunk.example", "") == ["198.51.100.2"]
    servers.failure = failure
    await asyncio.sleep(3700)
    with pytest.raises(ProviderError):
        await known.resolve("trunk.example", "")


async def test_of_silent_servers_one_dial_in_five_seconds_waits_and_the_others_have_the_last_addresses_at_once(
    servers: NameServers,
) -> None:
    known = names(servers, stale_s=3600.0)
    await known.resolve("trunk.example", "")
    servers.takes_s = 60.0
    await asyncio.sleep(60)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert await known.resolve("trunk.example", "") == ["198.51.100.1"]
    assert loop.time() - begun == pytest.approx(2.0)
    assert await known.resolve("trunk.example", "") == ["198.51.100.1"]
    assert loop.time() - begun == pytest.approx(2.0)


async def test_names_that_are_remembered_are_bounded(servers: NameServers) -> None:
    known = names(servers, kept=3)
    for number in range(6):
        servers.addresses[f"{number}.example"] = ["192.0.2.1"]
        await known.resolve(f"{number}.example", "")
    servers.asked.clear()
    for number in range(6):
        await known.resolve(f"{5 - number}.example", "")
    assert servers.asked == ["2.example", "1.example", "0.example"]


async def test_too_many_names_of_one_asker_get_a_sentence(servers: NameServers) -> None:
    known = names(servers, parallel=1, timeout_s=1.0)
    asked = [known.resolve(f"silent{number}.example", "loud") for number in range(70)]
    ends = await asyncio.gather(*asked, return_exceptions=True)
    busy = [end for end in ends if isinstance(end, MachineError)]
    assert len(busy) == 5
    assert "too many names are being looked up at once" in str(busy[0])


async def test_closing_leaves_nothing_behind(servers: NameServers) -> None:
    known = names(servers)
    waiting = asyncio.create_task(known.resolve("silent.example", ""))
    await asyncio.sleep(0.1)
    await known.close()
    await asyncio.gather(waiting, return_exceptions=True)
    assert servers.running == 0
