"""A walk through what is unacked: in order, page by page, from the first. Without IO."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from offhook.node.gateway.replay_states import STEPS, Phase, Step
from offhook.node.store.port import StoredEvent

__all__ = ["Read", "Rest", "Walk"]

_RETRY_S: Final = 0.5


class Read(NamedTuple):
    """Read the next page: what is kept with a greater ``session_seq`` than this."""

    after: int


class Rest(NamedTuple):
    """Nothing is to be done before this time (None: before something happens)."""

    until: float | None


class Walk:
    """``calls``: whose events are due; None: those of all."""

    def __init__(self, calls: frozenset[str] | None) -> None:
        self.calls = calls
        self.phase = Phase.ASK
        self._cursor = 0
        self._delivered_seq = 0
        self._page: deque[StoredEvent] = deque()
        self._retry_at = 0.0

    @property
    def is_over(self) -> bool:
        """All was seen."""
        return self.phase is Phase.OVER

    def ask(self, delivered_seq: int) -> Read:
        """Ask for a page; events up to ``delivered_seq`` are handed over."""
        self._move(Step.ASKED)
        self._delivered_seq = delivered_seq
        return Read(self._cursor)

    def read(self, page: Iterable[StoredEvent], delivered_seq: int) -> None:
        """The page came. What is on the disk before it was handed over is read again after that."""
        self._page.extend(event for event in page if event.session_seq <= delivered_seq)
        if self._page:
            self._move(Step.PAGE)
        else:
            self._move(Step.NOTHING if delivered_seq == self._delivered_seq else Step.OVERTAKEN)

    def unreadable(self, now: float) -> None:
        """The page did not come: ask again a little later."""
        self._move(Step.UNREADABLE)
        self._retry_at = now + _RETRY_S

    def take(self) -> StoredEvent | None:
        """The next of the page."""
        if not self._page:
            return None
        event = self._page.popleft()
        self._cursor = event.session_seq
        return event

    def has_passed(self, event: StoredEvent) -> bool:
        """Whether it was there before this one."""
        return event.session_seq <= self._cursor

    def go_on(self, now: float, *, is_full: bool) -> Rest | None:
        """After a page, or a rest: None, or the (other) rest."""
        if self.phase is Phase.SEND:
            self._move(Step.FILLED if is_full else Step.SENT)
        elif self.phase is Phase.FULL and not is_full:
            self._move(Step.ACKED)
        elif self.phase is Phase.RETRY and now >= self._retry_at:
            self._move(Step.RETRIED)
        else:
            return Rest(self._retry_at if self.phase is Phase.RETRY else None)
        return None

    def _move(self, step: Step) -> None:
        self.phase = STEPS[self.phase, step]
