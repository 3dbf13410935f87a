"""Who waits for whom when much is fetched at once; judged by what the server was asked, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from offhook.errors import MachineError, ProviderError
from offhook.node.engine.ops import FileSource
from offhook.node.engine.prompts import Asker, PromptCache
from offhook.node.web.fetch import WebFetcher
from rig.fetching import fetcher_of

WAV = (Path(__file__).parents[4] / "vectors" / "prompts" / "mono-24000.mp3").read_bytes()


class Rig:
    """Every host is this server. Paths with ``slow`` answer when ``go`` is set; all others at once, kept an hour."""

    def __init__(self, directory: Path) -> None:
        self.cache = PromptCache(directory)
        self.asked: list[str] = []
        self.running = 0
        self.most = 0
        self.go = asyncio.Event()
        self.resolved = asyncio.Event()
        self.status = 200
        self.port = 0
        self.fetcher = self.make()

    def make(self, **limits: float) -> WebFetcher:
        known = {"allow_loopback": True, "connect_s": 60.0, "read_s": 60.0, "total_s": 60.0, **limits}
        return fetcher_of(self.cache, resolve=self.resolve, **known)

    async def resolve(self, host: str, _call: str) -> list[str]:
        if host.startswith("late"):
            await self.resolved.wait()
        return ["127.0.0.1"]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if "slow" in request.path:
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                await self.go.wait()
            finally:
                self.running -= 1
        return web.Response(body=WAV, status=self.status, headers={"Cache-Control": "max-age=3600"})

    def fetch(self, path: str, *, host: str = "slow.example", call: str = "loud") -> asyncio.Task[FileSource]:
        url = f"http://{host}:{self.port}{path}"
        return asyncio.create_task(self.fetcher.fetch(url, Asker(call)))

    async def until_asked(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.asked) < count:
                await asyncio.sleep(0.005)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    application = web.Application()
    application.router.add_route("GET", "/{path:.*}", made.handle)
    async with TestServer(application, host="127.0.0.1") as server:
        assert server.port is not None
        made.port = server.port
        yield made
        made.go.set()


async def test_64_fetches_of_one_slow_host_take_six_slots_and_no_other_call_waits(rig: Rig) -> None:
    slow = [rig.fetch(f"/slow/{number}", call=f"loud {number}") for number in range(64)]
    await rig.until_asked(6)
    assert (await rig.fetch("/quick", host="quick.example", call="quiet")).prompt
    assert rig.asked[6:] == ["/quick"]
    rig.go.set()
    await asyncio.gather(*slow)
    assert rig.most == 6


async def test_a_call_that_fetches_from_many_slow_hosts_has_a_quarter_of_the_slots(rig: Rig) -> None:
    slow = [rig.fetch(f"/slow/{number}", host=f"{number}.example") for number in range(40)]
    await rig.until_asked(8)
    assert (await rig.fetch("/quick", host="quick.example", call="quiet")).prompt
    assert rig.asked[8:] == ["/quick"]
    rig.go.set()
    await asyncio.gather(*slow)


async def test_what_is_kept_and_fresh_waits_for_nobody(rig: Rig) -> None:
    first = await rig.fetch("/greeting", call="quiet")
    slow = [rig.fetch(f"/slow/{number}", host=f"{number // 6}.example", call=f"{number}") for number in range(40)]
    await rig.until_asked(33)
    assert await rig.fetch("/greeting", call="quiet") == first
    assert "/greeting" not in rig.asked[1:]
    rig.go.set()
    await asyncio.gather(*slow)


async def test_among_those_who_wait_for_the_same_host_a_newcomer_is_next(rig: Rig) -> None:
    slow = [rig.fetch(f"/slow/{number}") for number in range(30)]
    await rig.until_asked(6)
    quick = rig.fetch("/quick", call="quiet")
    await asyncio.sleep(0.02)
    rig.go.set()
    await asyncio.gather(quick, *slow)
    assert rig.asked.index("/quick") <= 11  # the slots that came free together


async def test_equal_urls_are_fetched_once_for_all_who_wait(rig: Rig) -> None:
    waiting = [rig.fetch("/slow", call=f"{number}") for number in range(20)]
    await rig.until_asked(1)
    rig.go.set()
    assert len({source.prompt for source in await asyncio.gather(*waiting)}) == 1
    assert rig.asked == ["/slow"]


async def test_what_fails_fails_for_all_who_wait_with_its_sentence_and_is_tried_anew_then(rig: Rig) -> None:
    rig.status = 500
    waiting = [rig.fetch("/slow", call=f"{number}") for number in range(5)]
    await rig.until_asked(1)
    rig.go.set()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(end) for end in ends] == ["slow.example answered 500, not 200: check the URL"] * 5
    assert rig.asked == ["/slow"]
    rig.status = 200
    assert (await rig.fetch("/slow")).prompt


async def test_who_waits_no_more_takes_nothing_from_the_others_and_the_last_one_ends_it(rig: Rig) -> None:
    first, second = rig.fetch("/slow", call="a"), rig.fetch("/slow", call="b")
    await rig.until_asked(1)
    first.cancel()
    await asyncio.sleep(0.02)
    rig.go.set()
    assert (await second).prompt
    rig.go.clear()
    alone = rig.fetch("/slow/alone")
    await rig.until_asked(2)
    alone.cancel()
    async with asyncio.timeout(30):
        while rig.running:
            await asyncio.sleep(0.005)


async def test_who_asks_for_the_same_as_somebody_with_much_before_it_does_not_wait_for_all_of_that(rig: Rig) -> None:
    rig.fetcher = rig.make(parallel=1, per_asker=1)
    many = [rig.fetch(f"/slow/{number}") for number in range(12)]
    await rig.until_asked(1)
    joined = rig.fetch("/slow/11", call="quiet")
    await asyncio.sleep(0.02)
    rig.go.set()
    await joined
    assert rig.asked.index("/slow/11") == 1
    await asyncio.gather(*many)


async def test_the_wait_for_a_slot_is_within_the_total_and_says_so(rig: Rig) -> None:
    """A URL that waited behind slow ones was given all of its time again, after the wait."""
    rig.fetcher = rig.make(total_s=0.5, parallel=1)
    late, slow = rig.fetch("/late", host="late.example"), rig.fetch("/slow/1")
    await rig.until_asked(1)
    rig.resolved.set()
    ends = await asyncio.gather(late, slow, return_exceptions=True)
    assert [str(end) for end in ends] == [
        "late.example was not asked within 0.5 s: other fetches take all slots "
        "(6 for a host, 1 in all: fetch.parallel_per_host, fetch.parallel)",
        "slow.example took longer than 0.5 s in all",
    ]
    assert all(isinstance(end, ProviderError) for end in ends)
    assert rig.asked == ["/slow/1"]


async def test_more_than_64_urls_of_a_call_that_wait_are_refused(rig: Rig) -> None:
    slow = [rig.fetch(f"/slow/{number}") for number in range(75)]
    await rig.until_asked(6)
    done, pending = await asyncio.wait(slow, timeout=1)
    assert [str(task.exception()) for task in done] == [
        "too many URLs wait for slow.example and others: play fewer at once"
    ] * 5
    assert all(isinstance(task.exception(), MachineError) for task in done)
    rig.go.set()
    await asyncio.gather(*pending)


async def test_a_file_stays_from_the_moment_it_is_there_until_who_asked_is_over(rig: Rig) -> None:
    rig.cache = PromptCache(rig.cache.directory, max_bytes=3 * len(WAV))
    rig.fetcher = rig.make()
    asker = Asker("call")
    source = await rig.fetcher.fetch(f"http://slow.example:{rig.port}/a", asker)
    assert rig.cache.is_held(source.prompt)
    again = Asker("call")
    assert await rig.fetcher.fetch(f"http://slow.example:{rig.port}/a", again) == source
    asker.close()
    assert rig.cache.is_held(source.prompt)
    again.close()
    assert not rig.cache.is_held(source.prompt)


async def test_closing_ends_what_is_under_way(rig: Rig) -> None:
    waiting = rig.fetch("/slow")
    await rig.until_asked(1)
    await rig.fetcher.close()
    await asyncio.gather(waiting, return_exceptions=True)
    assert [path.name for path in rig.cache.directory.iterdir()] == []
