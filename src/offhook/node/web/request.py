"""One thing that is asked of the web, over its redirects: by turns, and within one policy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

from yarl import URL

from offhook.errors import ProviderError
from offhook.node.turns import Ticket, Turns
from offhook.node.web.pinned import Target, pinned_session
from offhook.node.web.policy import OutboundLimits, Policy
from offhook.node.web.response import Response, faults

__all__ = ["Request"]

T = TypeVar("T")
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "offhook"}


class Request:
    """Made by ``Outbound.request``. Whoever wants the same joins; it waits by the best turn of theirs."""

    def __init__(
        self,
        policy: Policy,
        limits: OutboundLimits,
        turns: Turns,
        check: Callable[[URL, str], Awaitable[Target]],
    ) -> None:
        self._policy = policy
        self._limits = limits
        self._turns = turns
        self._check = check
        self._askers: list[str] = []
        self._ticket: Ticket | None = None

    def join(self, asker: str) -> None:
        """Somebody (else) wants it; once for each time it is wanted."""
        self._askers.append(asker)
        if self._ticket is not None:
            self._ticket.join(asker)

    def leave(self, asker: str) -> None:
        """It is wanted once less."""
        self._askers.remove(asker)

    async def follow(self, url: URL, hop: Callable[[URL], Awaitable[T | URL]]) -> T:
        """Do ``hop`` with ``url``, then with whatever URL it gives, until it gives something else.

        Raises:
            ProviderError: it took too long, or was redirected too often; and whatever ``hop`` raises.
        """
        at, policy = url, self._policy
        try:
            async with asyncio.timeout(policy.total_s):
                for _ in range(policy.redirects + 1):
                    found = await hop(at)
                    if not isinstance(found, URL):
                        return found
                    at = found
        except TimeoutError as error:
            raise ProviderError(self._late(at)) from error
        raise ProviderError(f"{url.host} redirects more than {policy.redirects} times")

    @asynccontextmanager
    async def send(
        self, method: str, url: URL, headers: Mapping[str, str], content: bytes | None = None
    ) -> AsyncIterator[Response]:
        """Check where a URL leads, and ask there when a slot is free, which is held until the answer is left.

        Raises:
            CallerError: it may not be reached; says why.
            ProviderError: its name is not resolved, or its server does not answer.
            MachineError: too many names are looked up.
            offhook.node.turns.Crowded: too much waits for a slot.
        """
        target = await self._check(url, self._turn)
        self._ticket = self._turns.ticket(self._turn, group=f"{url.host}")
        for asker in self._askers:
            self._ticket.join(asker)
        policy = self._policy
        async with (
            self._ticket,
            pinned_session(target, connect_s=policy.connect_s, read_s=policy.read_s) as session,
        ):
            with faults(url):
                head = await session.request(
                    method, url, headers={**headers, **_HEADERS}, data=content, allow_redirects=False
                )
            async with head:
                yield Response(url, head, policy)

    @property
    def _turn(self) -> str:
        return self._askers[0] if self._askers else ""

    def _late(self, url: URL) -> str:
        limits, total_s = self._limits, self._policy.total_s
        if self._ticket is not None and not self._ticket.was_served:
            return (
                f"{url.host} was not asked within {total_s:g} s: other fetches take all slots "
                f"({limits.per_host} for a host, {limits.parallel} in all: fetch.parallel_per_host, fetch.parallel)"
            )
        return f"{url.host} took longer than {total_s:g} s in all"
