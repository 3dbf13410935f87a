"""What a session's client has not acked: how much of it is kept, and what of it are offers. Without IO."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from offhook.node.gateway.limits import Budget
from offhook.node.gateway.settings import GatewaySettings
from offhook.node.gateway.waits import Wait
from offhook.node.store.port import StoredEvent
from offhook.protocol.verbs.state import RECEIVE_EVENT

__all__ = ["Kept", "Truncation", "Unacked"]


class Truncation(NamedTuple):
    """Numbers (``session_seq``) of the events that were dropped unacked; (0, 0): none."""

    first: int
    last: int


class Kept(NamedTuple):
    """What is remembered of an event; the journal has the rest."""

    session_seq: int
    size_bytes: int
    call_id: str
    event_type: str
    since: float
    """Time of the loop: nobody sets it."""


class _Offers:
    """Of one call: by id whether it ever went to a socket; and what is left of their wait."""

    __slots__ = ("by_id", "wait")

    def __init__(self) -> None:
        self.by_id: dict[str, bool] = {}
        self.wait: Wait | None = None


class Unacked:
    """Bounded by number, bytes and, with those of all sessions, by ``budget``: the oldest goes first, and is told."""

    def __init__(self, settings: GatewaySettings, budget: Budget, truncation: Truncation) -> None:
        self._settings = settings
        self._budget = budget
        self.truncation = truncation
        self.size_bytes = 0
        self.to_forget: list[int] = []
        """What the journal is to forget, by ``session_seq``; who tells it empties this."""
        self.replayed: set[str] = set()
        """Ids of those that a replay sent on this connection."""
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._offers: dict[str, _Offers] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._kept

    def keep(self, event: StoredEvent, now: float) -> None:
        """Wait for the ack of an event."""
        size_bytes = event.size_bytes
        self._kept[event.id] = Kept(event.session_seq, size_bytes, event.call_id, event.event_type, now)
        self.size_bytes += size_bytes
        if event.event_type == RECEIVE_EVENT:
            self._offers.setdefault(event.call_id, _Offers()).by_id[event.id] = False
        self._budget.add(size_bytes)
        settings = self._settings
        while len(self._kept) > settings.retention_max_events or self.size_bytes > settings.retention_max_bytes:
            self.drop_oldest()

    def forget(self, event_id: str) -> Kept | None:
        """Wait for it no more; None where nobody does."""
        kept = self._kept.pop(event_id, None)
        if kept is None:
            return None
        self.size_bytes -= kept.size_bytes
        self._budget.add(-kept.size_bytes)
        self.replayed.discard(event_id)
        if kept.event_type == RECEIVE_EVENT:
            offers = self._offers[kept.call_id]
            offers.wait = None
            del offers.by_id[event_id]
            if not offers.by_id:
                del self._offers[kept.call_id]
        self.to_forget.append(kept.session_seq)
        return kept

    # --- offers ---

    def offers_of(self, call_id: str) -> list[str]:
        """Ids of the offers of a call."""
        offers = self._offers.get(call_id)
        return list(offers.by_id) if offers is not None else []

    def went_out(self, offer: StoredEvent) -> None:
        """It was given to a socket, or may have been by a node that ran before."""
        if offer.id in self._kept:
            self._offers[offer.call_id].by_id[offer.id] = True

    def may_be_known(self, offer: StoredEvent) -> bool:
        """Whether it went out ever."""
        return self._offers[offer.call_id].by_id[offer.id]

    def take_wait(self, call_id: str) -> Wait:
        """What is left of the wait of a call's offers; all of it, if they did not wait yet."""
        offers = self._offers[call_id]
        wait, offers.wait = offers.wait, None
        return wait or Wait(self._settings.offer_unheard_s, self._settings.offer_repeat_s)

    def put_wait(self, call_id: str, wait: Wait) -> None:
        """Keep it for the next connection, as long as the offers are kept."""
        offers = self._offers.get(call_id)
        if offers is not None:
            offers.wait = wait

    # --- retention ---

    def sweep(self, before: float) -> None:
        """Drop what has been unacked since before a time of the loop."""
        self._truncate([key for key, kept in self._kept.items() if kept.since < before])

    def drop_oldest(self) -> None:
        """Give up an unacked event before its time."""
        if self._kept:
            self._truncate([next(iter(self._kept))])

    def clear(self) -> None:
        """The session is gone, and the journal told."""
        self._budget.add(-self.size_bytes)
        self.size_bytes = 0
        self._kept.clear()
        self._offers.clear()
        self.replayed.clear()

    def _truncate(self, event_ids: Iterable[str]) -> None:
        for event_id in event_ids:
            kept = self.forget(event_id)
            if kept is not None:
                first = min(self.truncation.first or kept.session_seq, kept.session_seq)
                self.truncation = Truncation(first, max(self.truncation.last, kept.session_seq))
