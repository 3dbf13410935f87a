"""What this node asks of the web: a name is resolved once, every address is checked, what was checked is connected to.

The guard is ``guard.py``; redirects pass it again. Who asks takes turns with the others, with a few slots for each
host: a slow one delays itself. What one request may cost is a policy of who asks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from yarl import URL

from offhook.errors import MachineError
from offhook.node.turns import Crowded, Turns
from offhook.node.web.guard import check_addresses, parse_url
from offhook.node.web.pinned import Target
from offhook.node.web.policy import OutboundLimits, Policy
from offhook.node.web.request import Request

__all__ = ["Outbound", "Reply", "Resolve"]

Resolve = Callable[[str, str], Awaitable[list[str]]]
"""Addresses of a host, for who asks. Raises OffhookError with a sentence."""


class Reply(msgspec.Struct, frozen=True):
    """What a server answered, whatever it means."""

    status: int
    content: bytes


class Outbound:
    """One for the node. ``asker`` is whose turns are taken and whose share of the slots: a call, a project."""

    def __init__(self, limits: OutboundLimits, *, resolve: Resolve) -> None:
        self._limits = limits
        self._resolve = resolve
        self._turns = Turns(limits.parallel, per_group=limits.per_host, per_asker=limits.per_asker)

    async def open(self, url: str, asker: str, *, schemes: tuple[str, ...]) -> Target:
        """Check where a URL leads, for somebody else to connect there. It takes no slot.

        Raises:
            CallerError: it may not be reached; says why.
            ProviderError: its name is not resolved.
            MachineError: too many names are looked up.
        """
        return await self._check(parse_url(url, schemes), asker)

    async def get(self, url: str, asker: str, policy: Policy, *, headers: Mapping[str, str]) -> Reply:
        """Ask for what a URL has.

        Raises:
            CallerError: it may not be reached, or redirects to where that is so; says why.
            ProviderError: there is no answer within the bounds.
            MachineError: too much waits.
        """
        return await self._ask("GET", url, asker, policy, headers, None)

    async def post(self, url: str, asker: str, policy: Policy, *, headers: Mapping[str, str], content: bytes) -> Reply:
        """Send ``content``, of the type that ``headers`` say. Redirects are followed that send it again (307, 308).

        Raises:
            CallerError, ProviderError, MachineError: as ``get``.
        """
        return await self._ask("POST", url, asker, policy, headers, content)

    def request(self, policy: Policy) -> Request:
        """For who reads an answer block by block, knows some of the URLs on the way, or asks for several."""
        return Request(policy, self._limits, self._turns, self._check)

    async def _ask(
        self, method: str, url: str, asker: str, policy: Policy, headers: Mapping[str, str], content: bytes | None
    ) -> Reply:
        request, first = self.request(policy), parse_url(url)
        request.join(asker)

        async def hop(at: URL) -> Reply | URL:
            async with request.send(method, at, headers, content) as response:
                return response.redirect() or Reply(response.status, await response.content())

        try:
            return await request.follow(first, hop)
        except Crowded as error:
            raise MachineError(f"too much waits for {first.host} and others: ask for less at once") from error

    async def _check(self, url: URL, asker: str) -> Target:
        assert url.raw_host is not None
        addresses = await self._resolve(url.raw_host, asker)
        check_addresses(url, addresses, ports=self._limits.ports, allow_loopback=self._limits.allow_loopback)
        return Target.of(url, addresses)
