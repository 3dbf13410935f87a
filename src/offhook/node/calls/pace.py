"""How fast calls are placed: who comes too soon waits for its turn, for a while."""

from __future__ import annotations

from collections import Counter

__all__ = ["Pace", "TooFast"]


class TooFast(Exception):
    """No turn comes in the time that was given."""


class Pace:
    """``per_s`` in the long run, and as many at once as come in two seconds, at least ten.

    Beyond that each has a turn of its own, in the order in which they came, as far as turns come within ``wait_s``;
    of those that are free one session takes half. Nobody waits who will have no turn. Times are seconds of the loop.
    """

    def __init__(self, per_s: float, wait_s: float) -> None:
        self._per_s = per_s
        self._wait_s = wait_s
        self._most = self._left = max(10.0, 2 * per_s)
        self._at = 0.0
        self._waiting: Counter[str] = Counter()

    def wait_s(self, session: str, patience_s: float, now: float) -> float:
        """How long a session would wait for a turn; 0.0: it has one now.

        Raises:
            TooFast: longer than it may, or it waits for too many already.
        """
        self._refill(now)
        wait_s = max(0.0, (1.0 - self._left) / self._per_s)
        if not wait_s:
            return 0.0
        mine = self._waiting[session]
        others = self._waiting.total() - mine
        places = int(self._per_s * self._wait_s)
        if wait_s > min(patience_s, self._wait_s) or mine >= (places - others + 1) // 2:
            raise TooFast
        return wait_s

    def take(self, session: str, *, waits: bool) -> None:
        """Take the turn that ``wait_s`` told of. One that waits for it says ``came`` or ``give_back``."""
        self._left -= 1.0
        if waits:
            self._waiting[session] += 1

    def came(self, session: str) -> None:
        """It waited, and its turn is here."""
        self._waiting[session] -= 1
        if self._waiting[session] <= 0:
            del self._waiting[session]

    def give_back(self, session: str, *, waits: bool) -> None:
        """It places no call: who comes next has its turn sooner. ``waits``: as it took it."""
        if waits:
            self.came(session)
        self._left = min(self._most, self._left + 1.0)

    def _refill(self, now: float) -> None:
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
