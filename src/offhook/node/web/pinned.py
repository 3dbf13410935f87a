"""Where a URL leads once that was checked, and HTTP sessions that reach those addresses and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Self

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

__all__ = ["Target", "pinned_session"]


class Target(msgspec.Struct, frozen=True):
    """All that it takes to ask for a URL without asking a name server again, which could say something else.

    ``addresses``: the best first. ``server_name``: for TLS, which begins first thing if ``is_tls``, and for ``Host``.
    ``path``: with its query, as it goes into a request.
    """

    addresses: tuple[str, ...]
    port: int
    server_name: str
    is_tls: bool
    path: str

    @classmethod
    def of(cls, url: URL, addresses: list[str]) -> Self:
        """A URL that has a host, at addresses that were checked."""
        assert url.raw_host is not None
        assert url.port is not None
        is_tls = url.scheme in ("https", "wss")
        return cls(tuple(addresses), url.port, url.raw_host.rstrip("."), is_tls, url.raw_path_qs)


def pinned_session(target: Target, *, connect_s: float, read_s: float) -> aiohttp.ClientSession:
    """For one request to one of the addresses. Nothing of the environment (proxies, netrc) is used, nothing is
    decompressed, no cookie is kept.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=_Pinned(target.addresses),
            use_dns_cache=False,
            force_close=True,
            socket_factory=_only(frozenset(target.addresses)),
        ),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s, sock_read=read_s),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


class _Pinned(AbstractResolver):
    """Answers with the addresses that were checked, whatever the name's servers say now."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
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
