"""How long a call may ring, talk and be held. What ends it counts by the loop's clock, which nobody sets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from offhook.node.calls.endings import Ending
from offhook.node.calls.settings import Limits
from offhook.node.engine.reports import LegSnapshot
from offhook.protocol.states import Direction, EndReason, EndSource

__all__ = ["CallLimits"]

_UNANSWERED = Ending(EndReason.NO_ANSWER, EndSource.NONE, detail="ringing_limit", text="Nobody answered")
_TOO_LONG = Ending(EndReason.MAX_DURATION, EndSource.NONE, text="Maximum duration reached")
_HELD = Ending(EndReason.MAX_DURATION, EndSource.NONE, detail="hold_limit", text="On hold for too long")


class CallLimits:
    """The clocks of one call, which begins now. ``end`` is called when one has run out."""

    def __init__(self, limits: Limits, end: Callable[[Ending], None]) -> None:
        self._limits = limits
        self._end = end
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._began_at = _now()
        self._answered_at: float | None = None
        self.is_on_hold = False

    def restore(self, snapshot: LegSnapshot) -> None:
        """The call began under a former node: the engine knows how long ago."""
        self._began_at = _now() - snapshot.age_ms / 1000
        if snapshot.answered_ms is not None:
            self._answered_at = _now() - snapshot.answered_ms / 1000
        if snapshot.held_ms is not None:
            self.hold(snapshot.held_ms / 1000)

    def ring(self, direction: Direction, ring_timeout_s: float) -> None:
        """It goes unanswered. A leg that we placed is the engine's to end, and ours when that is late."""
        limits, spent_s = self._limits, _now() - self._began_at
        if direction is Direction.INBOUND:
            left_s = max(0.0, limits.ringing_s - spent_s)
        else:
            left_s = max(0.0, (ring_timeout_s or limits.call_s) - spent_s) + limits.hangup_s
        self._limit("ringing", left_s, _UNANSWERED)

    def answered(self, max_duration_s: float) -> None:
        """It rings no more, and ends ``max_duration_s`` after its answer (0: unsaid), or at the limit of the node."""
        self._cancel("ringing")
        if self._answered_at is None:  # else it came while no node was there, and how long ago, the engine has said
            self._answered_at = _now()
        wanted_s = min(max_duration_s, self._limits.call_s) if max_duration_s > 0 else self._limits.call_s
        self._limit("duration", max(0.0, wanted_s + self._answered_at - _now()), _TOO_LONG)

    def hold(self, spent_s: float = 0.0) -> None:
        """The peer holds: that counts from the first that was heard of it, however often it is said again."""
        if not self.is_on_hold:
            self.is_on_hold = True
            self._limit("hold", max(0.0, self._limits.hold_s - spent_s), _HELD)

    def off_hold(self) -> None:
        """It holds no more."""
        self.is_on_hold = False
        self._cancel("hold")

    def cancel(self) -> None:
        """The call is over."""
        for name in list(self._timers):
            self._cancel(name)

    def _limit(self, name: str, seconds: float, ending: Ending) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, self._end, ending)

    def _cancel(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()


def _now() -> float:
    return asyncio.get_running_loop().time()
