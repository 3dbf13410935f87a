"""What was spent on the trunk in the last 24 hours: calls and minutes, hour by hour, kept over a restart."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

__all__ = ["Spending", "Spent"]

_HOUR_S = 3600.0
_HOURS = 25
"""24 whole ones before the one that runs: never less than a day is looked at, an hour more at most."""


class Spent(msgspec.Struct, frozen=True):
    """As it is kept. ``hours``: calls placed, seconds talked; first the hour that runs, ``into_s`` after its start."""

    hours: tuple[tuple[int, float], ...] = ()
    into_s: float = 0.0


class Spending:
    """Ages by the time that passes, which nobody sets. Times are seconds of the loop."""

    def __init__(self, spent: Spent) -> None:
        self._hours: list[tuple[int, float]] = [(max(0, calls), max(0.0, talked)) for calls, talked in spent.hours]
        self._into_s = max(0.0, spent.into_s)
        self._at: float | None = None
        self._talking: set[str] = set()
        self.on_change: Callable[[], None] = lambda: None
        """Called when there is something new to keep."""

    def calls(self, now: float) -> int:
        """Placed in the last 24 hours."""
        self.settle(now)
        return sum(calls for calls, _ in self._hours)

    def minutes(self, now: float) -> float:
        """Talked in the last 24 hours, by calls that go on too."""
        self.settle(now)
        return sum(talked_s for _, talked_s in self._hours) / 60

    def placed(self, now: float) -> None:
        """One more call."""
        self.settle(now)
        self._add(0, calls=1)
        self.on_change()

    def not_placed(self, now: float, at_s: float) -> None:
        """One that was counted at ``at_s`` was not placed after all: the hour that it was counted in has one less."""
        self.settle(now)
        ago_s = now - at_s - self._into_s
        self._add(0 if ago_s <= 0 else 1 + int(ago_s // _HOUR_S), calls=-1)
        self.on_change()

    def answered(self, call_id: str, now: float) -> None:
        """Minutes of this call count from now on."""
        self.settle(now)
        self._talking.add(call_id)

    def over(self, call_id: str, now: float) -> None:
        """This call is over; nothing happens if it was not answered."""
        if call_id in self._talking:
            self.settle(now)
            self._talking.discard(call_id)
            self.on_change()

    def settle(self, now: float) -> None:
        """Let the time pass, and count what was talked meanwhile."""
        passed_s = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        if self._talking:
            self._add(0, talked_s=passed_s * len(self._talking))
        self.age(passed_s)

    def age(self, passed_s: float) -> None:
        """So much time passed."""
        self._into_s += passed_s
        passed = min(_HOURS, int(self._into_s // _HOUR_S))
        self._into_s %= _HOUR_S
        self._hours = ([(0, 0.0)] * passed + self._hours)[:_HOURS]

    @property
    def is_running(self) -> bool:
        """Whether a call adds minutes."""
        return bool(self._talking)

    def spent(self, now: float) -> Spent:
        """To be kept."""
        self.settle(now)
        return Spent(tuple(self._hours), self._into_s)

    def _add(self, hour: int, *, calls: int = 0, talked_s: float = 0.0) -> None:
        """To the hour that runs (0), or to one so many before it; one that is kept no more has nothing to change."""
        if not self._hours:
            self._hours.append((0, 0.0))
        if hour < len(self._hours):
            before_calls, before_s = self._hours[hour]
            self._hours[hour] = (max(0, before_calls + calls), before_s + talked_s)
