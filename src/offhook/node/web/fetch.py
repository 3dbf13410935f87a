"""Audio by URL, into a prompt file: resolved once, every address checked, connected to that address alone.

The guard is ``guard.py``; redirects pass it again. Size and time are bounded. What is fresh waits for nobody; equal
URLs are fetched once; the others take turns by who asks, with a few slots for each host: a slow one delays itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec
from yarl import URL

from offhook.errors import MachineError, ProviderError
from offhook.node.engine.ops import FileSource
from offhook.node.engine.prompts import Asker, PromptCache
from offhook.node.turns import Crowded, Ticket, Turns
from offhook.node.web.answers import is_whole, reason, unplayable
from offhook.node.web.audio import AudioCheck
from offhook.node.web.guard import check_addresses, parse_url, redirected
from offhook.node.web.known import KnownUrl, KnownUrls
from offhook.node.web.not_audio import NotAudio
from offhook.node.web.pinned import pinned_session

__all__ = ["FetchLimits", "Resolve", "WebFetcher"]

Resolve = Callable[[str, str], Awaitable[list[str]]]
"""Addresses of a host, for who asks. Raises OffhookError with a sentence."""

MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_BLOCK_BYTES = 1 << 16
_HEADERS = {"Accept": "audio/wav, audio/mpeg, audio/*;q=0.8", "Accept-Encoding": "identity", "User-Agent": "offhook"}


class FetchLimits(msgspec.Struct, frozen=True):
    """Where and how much; the settings of section ``fetch``."""

    ports: tuple[int, ...] = (80, 443, 8080, 8443)
    allow_loopback: bool = False
    max_bytes: int = 50 << 20
    connect_s: float = 2.0
    read_s: float = 5.0
    total_s: float = 15.0
    parallel: int = 32
    per_host: int = 6
    per_call: int = 8


class _Job:
    """A URL on its way, and who waits for it. ``lease`` keeps what it got until they have it."""

    task: asyncio.Task[FileSource]

    def __init__(self) -> None:
        self.askers: list[Asker] = []
        self.ticket: Ticket | None = None
        self.lease = Asker("")
        self.file = ""
        """What is being written for all of them."""

    @property
    def turn(self) -> str:
        return self.askers[0].turn if self.askers else ""

    def join(self, asker: Asker) -> None:
        self.askers.append(asker)
        if self.ticket is not None:
            self.ticket.join(asker.turn)


class WebFetcher:
    """The ``AudioFetcher`` of ``calls.ports``. Files are kept by their content; URLs are asked again when stale.

    ``now`` dates files (Unix time); how old an answer is goes by ``steady``, which nobody sets.
    """

    def __init__(
        self,
        cache: PromptCache,
        limits: FetchLimits,
        *,
        resolve: Resolve,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._limits = limits
        self._resolve = resolve
        self._now = now
        self._steady = steady
        self._known = KnownUrls()
        self._jobs: dict[str, _Job] = {}
        self._turns = Turns(limits.parallel, per_group=limits.per_host, per_asker=limits.per_call)

    def keep(self, prompt: str, asker: Asker) -> None:
        """See ``calls.ports.AudioFetcher``."""
        self._cache.hold(prompt, asker)

    async def fetch(self, url: str, asker: Asker) -> FileSource:
        """See ``offhook.node.calls.ports.AudioFetcher``; the file is complete when this returns."""
        target = parse_url(url)
        known = self._current(target)
        if known is not None and self._steady() < known.fresh_until:
            self._cache.hold(known.prompt, asker)
            return FileSource(known.prompt)
        key = str(target)
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = _Job()
            job.task = asyncio.create_task(self._run(job, target), name="fetch")
        job.join(asker)
        if job.file:
            self._cache.hold(job.file, asker)
        try:
            return await asyncio.shield(job.task)
        finally:
            job.askers.remove(asker)
            if not job.askers and not job.task.done():
                self._gone(key, job)
                job.task.cancel()

    async def close(self) -> None:
        """Fetch nothing any more."""
        tasks = [job.task for job in self._jobs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _gone(self, key: str, job: _Job) -> None:
        """Who comes now begins anew."""
        if self._jobs.get(key) is job:
            del self._jobs[key]

    def _current(self, url: URL) -> KnownUrl | None:
        """What is known of a URL, if its file is still there."""
        known = self._known.get(str(url))
        if known is not None and self._cache.find(known.prompt, self._now()) is None:
            return None
        return known

    async def _run(self, job: _Job, url: URL) -> FileSource:
        """Fetch for all that wait, who have it in the same turn of the loop."""
        try:
            source = await self._in_time(job, url)
            for asker in job.askers:
                self._cache.hold(source.prompt, asker)
            return source
        finally:
            self._gone(str(url), job)
            job.lease.close()

    async def _in_time(self, job: _Job, url: URL) -> FileSource:
        host = target = url
        try:
            async with asyncio.timeout(self._limits.total_s):
                for _ in range(MAX_REDIRECTS + 1):
                    host = target
                    answer = await self._hop(job, target)
                    if isinstance(answer, FileSource):
                        return answer
                    target = answer
        except TimeoutError as error:
            raise ProviderError(self._late(job, host)) from error
        except Crowded as error:
            raise MachineError(f"too many URLs wait for {url.host} and others: play fewer at once") from error
        raise ProviderError(f"{url.host} redirects more than {MAX_REDIRECTS} times")

    def _late(self, job: _Job, url: URL) -> str:
        limits = self._limits
        if job.ticket is not None and not job.ticket.was_served:
            return (
                f"{url.host} was not asked within {limits.total_s:g} s: other fetches take all slots "
                f"({limits.per_host} for a host, {limits.parallel} in all: fetch.parallel_per_host, fetch.parallel)"
            )
        return f"{url.host} took longer than {limits.total_s:g} s in all"

    async def _hop(self, job: _Job, url: URL) -> FileSource | URL:
        """One request: audio, or where it is said to be."""
        known = self._current(url)
        if known is not None:
            self._cache.hold(known.prompt, job.lease)
            if self._steady() < known.fresh_until:
                return FileSource(known.prompt)
        addresses = await self._checked(url, job.turn)
        job.ticket = self._turns.ticket(job.turn, group=f"{url.host}")
        for asker in job.askers:
            job.ticket.join(asker.turn)
        async with job.ticket:
            return await self._ask(job, url, known, addresses)

    async def _ask(self, job: _Job, url: URL, known: KnownUrl | None, addresses: list[str]) -> FileSource | URL:
        headers = _HEADERS | (known.condition if known is not None else {})
        limits = self._limits
        try:
            async with (
                pinned_session(addresses, connect_s=limits.connect_s, read_s=limits.read_s) as session,
                session.get(url, allow_redirects=False, headers=headers) as response,
            ):
                return await self._take(job, url, known, response)
        except aiohttp.ServerTimeoutError as error:
            raise ProviderError(f"{url.host} does not answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ProviderError(f"{url.host} cannot be fetched from: {reason(error)}") from error

    async def _checked(self, url: URL, turn: str) -> list[str]:
        assert url.raw_host is not None
        addresses = await self._resolve(url.raw_host, turn)
        check_addresses(url, addresses, ports=self._limits.ports, allow_loopback=self._limits.allow_loopback)
        return addresses

    async def _take(
        self, job: _Job, url: URL, known: KnownUrl | None, response: aiohttp.ClientResponse
    ) -> FileSource | URL:
        if response.status in _REDIRECTS:
            location = response.headers.get("Location", "")
            if not location:
                raise ProviderError(f"{url.host} redirects to nowhere")
            return redirected(url, location)
        if response.status == 304 and known is not None:
            self._known.remember(str(url), known.prompt, response, self._steady())
            return FileSource(known.prompt)
        if response.status != 200 and not is_whole(response):
            raise ProviderError(f"{url.host} answered {response.status}, not 200: check the URL")
        if (response.content_length or 0) > self._limits.max_bytes:
            raise ProviderError(self._too_long(url))
        prompt = await self._store(job, url, response)
        self._cache.hold(prompt, job.lease)
        self._known.remember(str(url), prompt, response, self._steady())
        return FileSource(prompt)

    async def _store(self, job: _Job, url: URL, response: aiohttp.ClientResponse) -> str:
        """Into a file of all who wait, which gets the hash of its content as its name."""
        temporary = job.file = f"fetch-{uuid.uuid4().hex}"
        self._cache.pin(temporary)
        for asker in job.askers:
            self._cache.hold(temporary, asker)
        try:
            name = await self._write(url, response, temporary)
            if self._cache.find(name, self._now()) is None:
                self._cache.complete(temporary, self._now())
                self._cache.rename(temporary, name)
        except OSError as error:
            if isinstance(error, aiohttp.ClientError | TimeoutError):
                raise
            raise MachineError(f"the prompts directory cannot be written: {error.strerror}") from error
        finally:
            job.file = ""
            self._cache.discard(temporary)
            self._cache.unpin(temporary)
        return name

    async def _write(self, url: URL, response: aiohttp.ClientResponse, temporary: str) -> str:
        digest, size, check = hashlib.sha256(), 0, AudioCheck()
        try:
            with self._cache.begin(temporary).open("wb") as file:
                async for block in response.content.iter_chunked(_BLOCK_BYTES):
                    size += len(block)
                    if size > self._limits.max_bytes:
                        raise ProviderError(self._too_long(url))
                    check.feed(block)
                    digest.update(block)
                    self._cache.grow(temporary, size)
                    file.write(block)
            if size == 0:
                raise ProviderError(f"{url.host} sent an empty answer")
            check.finish()
        except NotAudio as error:
            raise ProviderError(f"{url.host} sent {unplayable(response, str(error))}") from error
        return f"url-{digest.hexdigest()[:48]}"

    def _too_long(self, url: URL) -> str:
        return f"{url.host} sent more than {self._limits.max_bytes >> 20} MiB (fetch.max_mib)"
