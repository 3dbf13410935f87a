"""Audio by URL, into a prompt file: resolved once, every address checked, connected to that address alone.

The guard is ``guard.py``; redirects pass it again. Nothing of the environment (proxies, netrc) is used, nothing is
decompressed, and size and time are bounded.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urljoin

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from offhook.errors import MachineError, ProviderError
from offhook.node.engine.ops import FileSource
from offhook.node.engine.prompts import PromptCache
from offhook.node.web.answers import is_whole, reason, unplayable
from offhook.node.web.audio import AudioCheck
from offhook.node.web.guard import check_addresses, parse_url
from offhook.node.web.not_audio import NotAudio

__all__ = ["FetchLimits", "Resolve", "WebFetcher", "resolve"]

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Addresses of a host."""

MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_KNOWN_URLS = 1000
_BLOCK_BYTES = 1 << 16
_UNESCAPED = re.compile(r"[ \"<>{}|^`]")
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])", re.IGNORECASE)
_NO_STORE = re.compile(r"no-store|no-cache", re.IGNORECASE)


class FetchLimits(msgspec.Struct, frozen=True):
    """Where and how much; the settings of section ``fetch``."""

    ports: tuple[int, ...] = (80, 443, 8080, 8443)
    allow_loopback: bool = False
    max_bytes: int = 50 << 20
    connect_s: float = 2.0
    read_s: float = 5.0
    total_s: float = 15.0
    parallel: int = 32


class _Known(msgspec.Struct, frozen=True):
    """What a URL gave last time. ``fresh_until`` is Unix time."""

    prompt: str
    etag: str
    last_modified: str
    fresh_until: float


async def resolve(host: str, port: int) -> list[str]:
    """Addresses of a host, by the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class WebFetcher:
    """The ``AudioFetcher`` of ``calls.ports``. Files are kept by their content; URLs are asked again when stale."""

    def __init__(
        self,
        cache: PromptCache,
        limits: FetchLimits,
        *,
        resolve: Resolve = resolve,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._cache = cache
        self._limits = limits
        self._resolve = resolve
        self._now = now
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._slots = asyncio.Semaphore(limits.parallel)

    async def fetch(self, url: str) -> FileSource:
        """See ``offhook.node.calls.ports.AudioFetcher``; the file is complete when this returns."""
        target = parse_url(url)
        try:
            async with self._slots, asyncio.timeout(self._limits.total_s):
                for _ in range(MAX_REDIRECTS + 1):
                    answer = await self._hop(target)
                    if isinstance(answer, FileSource):
                        return answer
                    target = answer
        except TimeoutError as error:
            raise ProviderError(f"{target.host} took longer than {self._limits.total_s:g} s in all") from error
        raise ProviderError(f"{parse_url(url).host} redirects more than {MAX_REDIRECTS} times")

    async def _hop(self, url: URL) -> FileSource | URL:
        """One request: audio, or where it is said to be."""
        known = self._known.get(str(url))
        if known is not None and self._cache.find(known.prompt, self._now()) is None:
            known = None
        if known is not None and self._now() < known.fresh_until:
            return FileSource(known.prompt)
        addresses = await self._checked(url)
        limits = self._limits
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_s, sock_read=limits.read_s)
        connector = aiohttp.TCPConnector(
            resolver=_Pinned(addresses),
            use_dns_cache=False,
            force_close=True,
            socket_factory=_only(frozenset(addresses)),
        )
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=timeout,
                    auto_decompress=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    trust_env=False,
                ) as session,
                session.get(url, allow_redirects=False, headers=_request_headers(known)) as response,
            ):
                return await self._take(url, known, response)
        except aiohttp.ServerTimeoutError as error:
            raise ProviderError(f"{url.host} does not answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ProviderError(f"{url.host} cannot be fetched from: {reason(error)}") from error

    async def _checked(self, url: URL) -> list[str]:
        assert url.raw_host is not None
        assert url.port is not None
        try:
            async with asyncio.timeout(self._limits.connect_s):
                addresses = await self._resolve(url.raw_host, url.port)
        except TimeoutError as error:
            raise ProviderError(f"the name {url.host} is not resolved in {self._limits.connect_s:g} s") from error
        except (OSError, UnicodeError) as error:
            raise ProviderError(f"the name {url.host} cannot be resolved: check it") from error
        check_addresses(url, addresses, ports=self._limits.ports, allow_loopback=self._limits.allow_loopback)
        return addresses

    async def _take(self, url: URL, known: _Known | None, response: aiohttp.ClientResponse) -> FileSource | URL:
        if response.status in _REDIRECTS:
            location = response.headers.get("Location", "")
            if not location:
                raise ProviderError(f"{url.host} redirects to nowhere")
            # Servers put spaces there that a program's URL may not have; what is escaped stays as it is.
            return parse_url(urljoin(str(url), _UNESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", location)))
        if response.status == 304 and known is not None:
            self._remember(url, known.prompt, response)
            return FileSource(known.prompt)
        if response.status != 200 and not is_whole(response):
            raise ProviderError(f"{url.host} answered {response.status}, not 200: check the URL")
        if (response.content_length or 0) > self._limits.max_bytes:
            raise ProviderError(self._too_long(url))
        prompt = await self._store(url, response)
        self._remember(url, prompt, response)
        return FileSource(prompt)

    async def _store(self, url: URL, response: aiohttp.ClientResponse) -> str:
        """Into a file, which gets the hash of its content as its name."""
        temporary = f"fetch-{uuid.uuid4().hex}"
        try:
            if self._cache.is_trim_due(self._now()):
                await asyncio.to_thread(self._cache.trim, self._now())
            name = await self._write(url, response, temporary)
            if self._cache.find(name, self._now()) is None:
                self._cache.complete(temporary, self._now())
                self._cache.path(temporary).replace(self._cache.path(name))
        except OSError as error:
            if isinstance(error, aiohttp.ClientError | TimeoutError):
                raise
            raise MachineError(f"the prompts directory cannot be written: {error.strerror}") from error
        finally:
            self._cache.discard(temporary)
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
                    file.write(block)
            if size == 0:
                raise ProviderError(f"{url.host} sent an empty answer")
            check.finish()
        except NotAudio as error:
            raise ProviderError(f"{url.host} sent {unplayable(response, str(error))}") from error
        return f"url-{digest.hexdigest()[:48]}"

    def _remember(self, url: URL, prompt: str, response: aiohttp.ClientResponse) -> None:
        control = response.headers.get("Cache-Control", "")
        age = _MAX_AGE.search(control)
        fresh_s = int(age[1]) if age is not None and not _NO_STORE.search(control) else 0
        headers = response.headers
        self._known[str(url)] = _Known(
            prompt, headers.get("ETag", ""), headers.get("Last-Modified", ""), self._now() + min(fresh_s, 86400)
        )
        self._known.move_to_end(str(url))
        while len(self._known) > _KNOWN_URLS:
            self._known.popitem(last=False)

    def _too_long(self, url: URL) -> str:
        return f"{url.host} sent more than {self._limits.max_bytes >> 20} MiB (fetch.max_mib)"


class _Pinned(AbstractResolver):
    """Answers with the addresses that were checked, whatever the name's servers say now."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family  # of the addresses that were checked, all may be tried
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing to let go of."""


def _only(addresses: frozenset[str]) -> Callable[[Any], socket.socket]:
    """The last wall: no socket is made for an address that was not checked (a literal host skips the resolver)."""

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, where = info
        if where[0] not in addresses:
            raise OSError("the address was not checked")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return make


def _request_headers(known: _Known | None) -> dict[str, str]:
    headers = {"Accept": "audio/wav, audio/mpeg, audio/*;q=0.8", "Accept-Encoding": "identity", "User-Agent": "offhook"}
    if known is not None and known.etag:
        headers["If-None-Match"] = known.etag
    elif known is not None and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    return headers
