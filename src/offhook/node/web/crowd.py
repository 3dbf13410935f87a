"""Who is at the door: strangers, by age and by address, and what each of them may cost. Time is an input."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Generic, TypeVar

import msgspec

__all__ = ["Crowd", "CrowdLimits", "address_of"]

V = TypeVar("V")


class CrowdLimits(msgspec.Struct, frozen=True):
    """Counts and seconds."""

    strangers: int = 512
    """Connections that proved nothing yet."""
    strangers_per_address: int = 64
    """The same of one address (IPv6: one /64). Loopback has all of ``strangers``: one machine's programs share it."""
    patience_s: float = 1.5
    """A stranger is not sent away for another one before it had so long; in it as many as have places can connect."""
    guests: int = 128
    """Downloads of recordings at once."""
    guests_per_address: int = 32
    """The same of one address; loopback has all of ``guests``."""


def address_of(host: str) -> str:
    """What shares are counted by: an IPv4 address, the /64 of an IPv6 one; empty for loopback."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return "" if address.is_loopback else str(ipaddress.ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return "" if address.is_loopback else str(address)


class _Row(Generic[V]):
    """Visitors of one kind in the order in which they came, in all and by address."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._all: OrderedDict[V, tuple[str, float]] = OrderedDict()
        self._by_address: dict[str, OrderedDict[V, float]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, visitor: V) -> bool:
        return visitor in self._all

    def add(self, visitor: V, address: str, at: float) -> None:
        self._all[visitor] = (address, at)
        self._by_address.setdefault(address, OrderedDict())[visitor] = at

    def remove(self, visitor: V) -> tuple[str, float] | None:
        found = self._all.pop(visitor, None)
        if found is not None:
            of_address = self._by_address[found[0]]
            del of_address[visitor]
            if not of_address:
                del self._by_address[found[0]]
        return found

    def oldest(self) -> tuple[V, float] | None:
        """Who came first, and when, if all places are taken."""
        if len(self._all) < self._most:
            return None
        visitor, (_, at) = next(iter(self._all.items()))
        return visitor, at

    def oldest_of(self, address: str) -> tuple[V, float] | None:
        """The same for the places of one address."""
        of_address = self._by_address.get(address, OrderedDict())
        most = self._most_per_address if address else self._most
        return next(iter(of_address.items())) if len(of_address) >= most else None


class Crowd(Generic[V]):
    """The table of those who are no clients yet.

    Where there is no place left, the oldest stranger goes: of the newcomer's address when that has its share, else of
    all. Nobody goes before ``patience_s``, so that a fleet of programs that comes back at once is not sent away by its
    own last ones; who comes meanwhile waits in the kernel's queue (``full_until``) or, beyond the share of an address,
    is refused.
    """

    def __init__(self, limits: CrowdLimits) -> None:
        self._limits = limits
        self._strangers: _Row[V] = _Row(limits.strangers, limits.strangers_per_address)
        self._guests: _Row[V] = _Row(limits.guests, limits.guests_per_address)

    @property
    def strangers(self) -> int:
        """How many there are."""
        return len(self._strangers)

    def is_stranger(self, visitor: V) -> bool:
        """It proved nothing yet."""
        return visitor in self._strangers

    def full_until(self, now: float) -> float | None:
        """Until when no newcomer is to be taken, if nobody leaves before; None: one may come now."""
        oldest = self._strangers.oldest()
        if oldest is None:
            return None
        until = oldest[1] + self._limits.patience_s
        return until if until > now else None

    def enter(self, visitor: V, address: str, now: float) -> V | None:
        """Take a newcomer; returns who has to go for it: nobody, another, or the newcomer itself."""
        oldest = self._strangers.oldest_of(address) or self._strangers.oldest()
        if oldest is not None:
            if oldest[1] + self._limits.patience_s > now:
                return visitor
            self._strangers.remove(oldest[0])
        self._strangers.add(visitor, address, now)
        return None if oldest is None else oldest[0]

    def admit(self, visitor: V) -> None:
        """It proved who it is: other bounds hold for it."""
        self._strangers.remove(visitor)

    def receive(self, visitor: V) -> bool:
        """It came with a true link and is served: no stranger meanwhile. False when there are too many of these."""
        found = self._strangers.remove(visitor)
        if found is None:
            return visitor in self._guests
        address, at = found
        if self._guests.oldest_of(address) is not None or self._guests.oldest() is not None:
            self._strangers.add(visitor, address, at)
            return False
        self._guests.add(visitor, address, at)
        return True

    def served(self, visitor: V, now: float) -> None:
        """It has what it came for, and is a stranger again."""
        found = self._guests.remove(visitor)
        if found is not None:
            self._strangers.add(visitor, found[0], now)

    def leave(self, visitor: V) -> None:
        """Its connection is gone."""
        self._strangers.remove(visitor)
        self._guests.remove(visitor)
