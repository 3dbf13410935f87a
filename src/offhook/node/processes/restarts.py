"""How often a part is started again, and how long is waited before: no clock, no processes."""

from __future__ import annotations

from collections import deque

from offhook.errors import MachineError

__all__ = ["RestartBudget", "Retries"]

_RESTARTS = 5
_WINDOW_S = 60.0
_FIRST_PAUSE_S = 0.1
_LAST_PAUSE_S = 5.0
_GIVE_UP_S = 600.0


class RestartBudget:
    """A part that came to run may end ``restarts`` times in any ``window_s``. Time is given."""

    def __init__(self, name: str, restarts: int = _RESTARTS, window_s: float = _WINDOW_S) -> None:
        self._name = name
        self._restarts = restarts
        self._window_s = window_s
        self._at: deque[float] = deque()

    def spend(self, now: float) -> None:
        """It ended at ``now``.

        Raises:
            MachineError: once too often.
        """
        while self._at and now - self._at[0] >= self._window_s:
            self._at.popleft()
        if len(self._at) >= self._restarts:
            raise MachineError(
                f"the {self._name} ended {self._restarts + 1} times within {self._window_s:g} s: its log above says why"
            )
        self._at.append(now)


class Retries:
    """Pauses between starts that fail: what hinders them (a full disk, no descriptor) may pass. Time is given."""

    def __init__(self, name: str, began_at: float, give_up_s: float = _GIVE_UP_S) -> None:
        self._name = name
        self._began_at = began_at
        self._give_up_s = give_up_s
        self._pause_s = _FIRST_PAUSE_S

    def pause_s(self, now: float) -> float:
        """How long to wait after a start that failed at ``now``: 0.1 s, each time twice as long, at most 5 s.

        Raises:
            MachineError: none has worked for ``give_up_s``.
        """
        if now - self._began_at >= self._give_up_s:
            raise MachineError(f"the {self._name} did not start for {self._give_up_s:g} s: its log above says why")
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _LAST_PAUSE_S)
        return pause_s
