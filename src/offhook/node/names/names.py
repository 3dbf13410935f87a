"""Addresses of hosts for one purpose: with its own bound of lookups, its own memory, and turns by who asks.

A lookup cannot be stopped, so it outlives who waits for it, keeps its place until it ends, and is remembered then.
Equal names are looked up once. What is remembered waits for nobody.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from offhook.errors import MachineError, ProviderError
from offhook.node.turns import Crowded, Ticket, Turns

__all__ = ["LookUp", "NameLimits", "Names"]

_log = structlog.get_logger(__name__)

LookUp = Callable[[str], Awaitable[list[str]]]
"""Addresses of a host. Raises OSError (``socket.gaierror`` says why) or UnicodeError. May outlast any patience."""


_NOT_FOUND = (socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY)


class NameLimits(msgspec.Struct, frozen=True, kw_only=True):
    """``timeout_s`` is the patience of who asks; ``stale_s``: so long after ``fresh_s`` addresses serve when the name's
    servers fail; ``failed_s``: so long a failure is the answer.
    """

    timeout_s: float = 2.0
    parallel: int = 32
    per_asker: int = 8
    kept: int = 1000
    fresh_s: float = 30.0
    failed_s: float = 5.0
    stale_s: float = 0.0


class _Known(msgspec.Struct):
    """What is remembered of a name: addresses, or why there are none."""

    addresses: list[str]
    until_s: float
    stale_until_s: float
    failure: str = ""


class _Lookup:
    """A name that is being looked up; ``waiting``: how many wait for it."""

    task: asyncio.Task[_Known]

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket
        self.waiting = 0
        self.runs = False


class Names:
    """Resolves names for one purpose."""

    def __init__(self, limits: NameLimits, look_up: LookUp) -> None:
        self._limits = limits
        self._look_up = look_up
        self._turns = Turns(limits.parallel, per_asker=limits.per_asker)
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lookups: dict[str, _Lookup] = {}

    async def resolve(self, host: str, asker: str) -> list[str]:
        """Addresses of a host, best first; a literal address is its own.

        Raises:
            ProviderError: not found, or not in time; says which.
            MachineError: too many names are being looked up.
        """
        if _is_address(host):
            return [host]
        name = host.lower()
        known = self._known.get(name)
        if known is not None and self._now() < known.until_s:
            self._known.move_to_end(name)
            return _told(known, host)
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                return _told(await self._join(name, asker), host)
        except TimeoutError as error:
            return self._old(name, f"{host} was not resolved in {self._limits.timeout_s:g} s", error)
        except Crowded as error:
            message = f"{host} was not resolved: too many names are being looked up at once"
            raise MachineError(message) from error

    async def close(self) -> None:
        """Wait for nothing any more. Threads that still ask end with the process."""
        tasks = [lookup.task for lookup in self._lookups.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _join(self, name: str, asker: str) -> _Known:
        lookup = self._lookups.get(name)
        if lookup is None:
            lookup = self._lookups[name] = _Lookup(self._turns.ticket(asker))
            lookup.task = asyncio.create_task(self._run(name, lookup), name="name")
        else:
            lookup.ticket.join(asker)
        lookup.waiting += 1
        try:
            return await asyncio.shield(lookup.task)
        finally:
            lookup.waiting -= 1
            if not lookup.waiting and not lookup.runs:
                self._gone(name, lookup)
                lookup.task.cancel()

    async def _run(self, name: str, lookup: _Lookup) -> _Known:
        try:
            async with lookup.ticket:
                lookup.runs = True
                addresses, failure = await self._ask(name)
        finally:
            self._gone(name, lookup)
        return self._remember(name, addresses, failure)

    def _gone(self, name: str, lookup: _Lookup) -> None:
        """Who comes now begins anew."""
        if self._lookups.get(name) is lookup:
            del self._lookups[name]

    async def _ask(self, name: str) -> tuple[list[str], str]:
        try:
            addresses = await self._look_up(name)
        except UnicodeError:
            return [], "is no name of a host: check it"
        except OSError as error:
            if isinstance(error, socket.gaierror) and error.errno in _NOT_FOUND:
                return [], "is not found: check its name"
            return [], "cannot be resolved now (its name servers fail): try again"
        return addresses, "" if addresses else "has no address: check its name"

    def _remember(self, name: str, addresses: list[str], failure: str) -> _Known:
        limits, now = self._limits, self._now()
        known = self._known.get(name)
        if not failure:
            fresh_until_s = now + limits.fresh_s
            known = _Known(addresses, fresh_until_s, fresh_until_s + limits.stale_s)
        elif known is not None and known.addresses and now < known.stale_until_s:
            known.until_s = now + limits.failed_s
            _log.warning("a name cannot be resolved, its last addresses serve", reason=failure)
        else:
            known = _Known([], now + limits.failed_s, 0.0, failure)
        self._known[name] = known
        self._known.move_to_end(name)
        while len(self._known) > limits.kept:
            self._known.popitem(last=False)
        return known

    def _old(self, name: str, message: str, cause: TimeoutError) -> list[str]:
        """After a time-out: the last addresses, which serve for a while without another wait, or the sentence."""
        known = self._known.get(name)
        if known is None or not known.addresses or self._now() >= known.stale_until_s:
            raise ProviderError(f"{message} (its name servers are silent or slow): check them") from cause
        known.until_s = self._now() + self._limits.failed_s
        _log.warning("a name is not resolved in time, its last addresses serve")
        return known.addresses

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _told(known: _Known, host: str) -> list[str]:
    if known.failure:
        raise ProviderError(f"{host} {known.failure}")
    return known.addresses


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
