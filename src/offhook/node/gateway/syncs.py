"""Events that are to be on the disk before they leave, and what is behind them of their calls. Without IO."""

from __future__ import annotations

from collections import deque

from offhook.node.store.port import StoredEvent

__all__ = ["Syncs"]


class Syncs:
    """Of each call what comes from the first on that is not on the disk yet, in order. Other calls do not wait."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[StoredEvent, bool]]] = {}

    def add(self, event: StoredEvent, *, is_synced: bool) -> bool:
        """It is written; ``is_synced``: it need not be on the disk, or is. True: it waits."""
        waiting = self._waiting.get(event.call_id)
        if waiting is None:
            if is_synced:
                return False
            waiting = self._waiting[event.call_id] = deque()
        waiting.append((event, is_synced))
        return True

    def synced(self, event: StoredEvent) -> list[StoredEvent]:
        """It is on the disk, or never will be; returns what waits no more."""
        waiting = self._waiting.get(event.call_id)
        if waiting is None:
            return []
        for at, (one, _) in enumerate(waiting):
            if one is event:
                waiting[at] = (one, True)
        free = []
        while waiting and waiting[0][1]:
            free.append(waiting.popleft()[0])
        if not waiting:
            del self._waiting[event.call_id]
        return free

    def holds(self, event: StoredEvent) -> bool:
        """Whether it waits."""
        waiting = self._waiting.get(event.call_id)
        return waiting is not None and event.session_seq >= waiting[0][0].session_seq

    def clear(self) -> None:
        """Nobody waits any more."""
        self._waiting.clear()
