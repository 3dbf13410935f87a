"""HTTP sessions that reach the addresses that were checked, and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

__all__ = ["pinned_session"]


def pinned_session(addresses: list[str], *, connect_s: float, read_s: float) -> aiohttp.ClientSession:
    """For one request to one of ``addresses``. Nothing of the environment (proxies, netrc) is used, nothing is
    decompressed, no cookie is kept.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=_Pinned(addresses),
            use_dns_cache=False,
            force_close=True,
            socket_factory=_only(frozenset(addresses)),
        ),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s, sock_read=read_s),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


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
