"""Events that are to be on the disk before they leave, and what is behind them in their lanes. Without IO."""

from __future__ import annotations

from collections import deque

from offhook.node.store.port import StoredEvent

__all__ = ["Syncs"]


class Syncs:
    """Of each lane what comes from the first on that is not on the disk yet, in order. Other lanes do not wait.

    A lane is a call, or what was dialled together: a dial is over after the states of its calls.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[StoredEvent, bool]]] = {}
        self._lane_of: dict[int, str] = {}
        """By ``session_seq``, of all that wait."""

    def add(self, event: StoredEvent, lane: str, *, is_synced: bool) -> bool:
        """It is written; ``is_synced``: it need not be on the disk, or is. True: it waits."""
        waiting = self._waiting.get(lane)
        if waiting is None:
            if is_synced:
                return False
            waiting = self._waiting[lane] = deque()
        waiting.append((event, is_synced))
        self._lane_of[event.session_seq] = lane
        return True

    def synced(self, event: StoredEvent) -> list[StoredEvent]:
        """It is on the disk, or never will be; returns what waits no more."""
        lane = self._lane_of.get(event.session_seq)
        if lane is None:
            return []
        waiting = self._waiting[lane]
        for at, (one, _) in enumerate(waiting):
            if one is event:
                waiting[at] = (one, True)
        free = []
        while waiting and waiting[0][1]:
            free.append(waiting.popleft()[0])
            del self._lane_of[free[-1].session_seq]
        if not waiting:
            del self._waiting[lane]
        return free

    def holds(self, event: StoredEvent) -> bool:
        """Whether it waits."""
        return event.session_seq in self._lane_of

    def clear(self) -> None:
        """Nobody waits any more."""
        self._waiting.clear()
        self._lane_of.clear()
