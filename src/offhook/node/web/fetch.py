"""Audio by URL, into a prompt file, by way of ``outbound.py``.

What is fresh waits for nobody; equal URLs are fetched once; the others take turns by who asks.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Callable
from functools import partial

from yarl import URL

from offhook.errors import MachineError, ProviderError
from offhook.node.engine.ops import FileSource
from offhook.node.engine.prompts import Asker, PromptCache
from offhook.node.turns import Crowded
from offhook.node.web.answers import is_whole, unplayable
from offhook.node.web.audio import AudioCheck
from offhook.node.web.guard import parse_url
from offhook.node.web.known import KnownUrl, KnownUrls
from offhook.node.web.not_audio import NotAudio
from offhook.node.web.outbound import Outbound
from offhook.node.web.policy import Policy
from offhook.node.web.request import Request
from offhook.node.web.response import Response

__all__ = ["WebFetcher"]

_HEADERS = {"Accept": "audio/wav, audio/mpeg, audio/*;q=0.8"}


class _Job:
    """A URL on its way, and who waits for it. ``lease`` keeps what it got until they have it."""

    task: asyncio.Task[FileSource]

    def __init__(self, request: Request) -> None:
        self.request = request
        self.askers: list[Asker] = []
        self.lease = Asker("")
        self.file = ""
        """What is being written for all of them."""

    def join(self, asker: Asker) -> None:
        self.askers.append(asker)
        self.request.join(asker.turn)

    def leave(self, asker: Asker) -> None:
        self.askers.remove(asker)
        self.request.leave(asker.turn)


class WebFetcher:
    """The ``AudioFetcher`` of ``calls.ports``. Files are kept by their content; URLs are asked again when stale.

    ``now`` dates files (Unix time); how old an answer is goes by ``steady``, which nobody sets.
    """

    def __init__(
        self,
        cache: PromptCache,
        outbound: Outbound,
        policy: Policy,
        *,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._outbound = outbound
        self._policy = policy
        self._now = now
        self._steady = steady
        self._known = KnownUrls()
        self._jobs: dict[str, _Job] = {}

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
            job = self._jobs[key] = _Job(self._outbound.request(self._policy))
            job.task = asyncio.create_task(self._run(job, target), name="fetch")
        job.join(asker)
        if job.file:
            self._cache.hold(job.file, asker)
        try:
            return await asyncio.shield(job.task)
        finally:
            job.leave(asker)
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
            source = await self._follow(job, url)
            for asker in job.askers:
                self._cache.hold(source.prompt, asker)
            return source
        finally:
            self._gone(str(url), job)
            job.lease.close()

    async def _follow(self, job: _Job, url: URL) -> FileSource:
        try:
            return await job.request.follow(url, partial(self._hop, job))
        except Crowded as error:
            raise MachineError(f"too many URLs wait for {url.host} and others: play fewer at once") from error

    async def _hop(self, job: _Job, url: URL) -> FileSource | URL:
        """One request: audio, or where it is said to be."""
        known = self._current(url)
        if known is not None:
            self._cache.hold(known.prompt, job.lease)
            if self._steady() < known.fresh_until:
                return FileSource(known.prompt)
        headers = _HEADERS | (known.condition if known is not None else {})
        async with job.request.send("GET", url, headers) as response:
            return response.redirect() or await self._take(job, known, response)

    async def _take(self, job: _Job, known: KnownUrl | None, response: Response) -> FileSource:
        url = response.url
        if response.status == 304 and known is not None:
            self._known.remember(str(url), known.prompt, response, self._steady())
            return FileSource(known.prompt)
        if response.status != 200 and not is_whole(response):
            raise ProviderError(f"{url.host} answered {response.status}, not 200: check the URL")
        response.check_length()
        prompt = await self._store(job, response)
        self._cache.hold(prompt, job.lease)
        self._known.remember(str(url), prompt, response, self._steady())
        return FileSource(prompt)

    async def _store(self, job: _Job, response: Response) -> str:
        """Into a file of all who wait, which gets the hash of its content as its name."""
        temporary = job.file = f"fetch-{uuid.uuid4().hex}"
        self._cache.pin(temporary)
        for asker in job.askers:
            self._cache.hold(temporary, asker)
        try:
            name = await self._write(response, temporary)
            if self._cache.find(name, self._now()) is None:
                self._cache.complete(temporary, self._now())
                self._cache.rename(temporary, name)
        except OSError as error:
            raise MachineError(f"the prompts directory cannot be written: {error.strerror}") from error
        finally:
            job.file = ""
            self._cache.discard(temporary)
            self._cache.unpin(temporary)
        return name

    async def _write(self, response: Response, temporary: str) -> str:
        digest, size, check = hashlib.sha256(), 0, AudioCheck()
        try:
            with self._cache.begin(temporary).open("wb") as file:
                while block := await response.read():
                    size += len(block)
                    check.feed(block)
                    digest.update(block)
                    self._cache.grow(temporary, size)
                    file.write(block)
            if size == 0:
                raise ProviderError(f"{response.url.host} sent an empty answer")
            check.finish()
        except NotAudio as error:
            raise ProviderError(f"{response.url.host} sent {unplayable(response, str(error))}") from error
        return f"url-{digest.hexdigest()[:48]}"
