"""How long an offer that may be known waits, over as many connections as it takes. Without IO."""

from __future__ import annotations

import math

__all__ = ["Wait"]


class Wait:
    """Time is spent in turn from two purses: ``unheard_s`` until the client said a word, ``heard_s`` from then on.

    A client that says nothing may have had no CPU yet; what one says shows that it runs, and so might have acted.
    The wait is over with either, or by ``end``.
    """

    __slots__ = ("_heard_s", "_is_heard", "_since", "_unheard_s")

    def __init__(self, unheard_s: float, heard_s: float) -> None:
        self._unheard_s = unheard_s
        self._heard_s = heard_s
        self._is_heard = False
        self._since = 0.0

    @property
    def is_over(self) -> bool:
        """Nothing is left to wait for."""
        return self._unheard_s <= 0 or self._heard_s <= 0

    @property
    def due_at(self) -> float:
        """When it is over, if nothing happens before."""
        if self.is_over:
            return -math.inf
        return self._since + (self._heard_s if self._is_heard else self._unheard_s)

    def begin(self, now: float, *, is_heard: bool) -> None:
        """The client is here, and was heard or not."""
        self._since = now
        self._is_heard = is_heard

    def heard(self, now: float) -> None:
        """The client said its first word on this connection."""
        self.stop(now)
        self.begin(now, is_heard=True)

    def stop(self, now: float) -> None:
        """The client is gone: what is left is for the next time."""
        spent_s = max(0.0, now - self._since)
        if self._is_heard:
            self._heard_s -= spent_s
        else:
            self._unheard_s -= spent_s

    def end(self) -> None:
        """The offer was taken back, or went out."""
        self._heard_s = 0.0
