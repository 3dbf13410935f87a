"""Requests that came faster than their session may ask: each is taken when it is paid for, in their order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from offhook.node.gateway.settings import GatewaySettings
from offhook.node.gateway.tasks import Tasks
from offhook.protocol.frames import FrameId, Request

__all__ = ["Pace"]


class _Held(NamedTuple):
    request: Request
    frame_id: FrameId
    size_bytes: int
    asked_at: float
    due_at: float


class Pace:
    """Of one connection; what is held is taken though the socket goes meanwhile, as it was asked before.

    ``take`` is told when it was asked (time of the loop): its client does not wait anew from its turn on. Acks and
    other replies need not wait behind it: the socket is read on, up to ``held_max_bytes``.
    """

    def __init__(
        self, settings: GatewaySettings, tasks: Tasks, take: Callable[[Request, FrameId, float], None]
    ) -> None:
        self._settings = settings
        self._tasks = tasks
        self._take = take
        self._held: deque[_Held] = deque()
        self.held_bytes = 0
        """How long the frames of what is held were."""

    @property
    def is_idle(self) -> bool:
        """Nothing waits that the next one would have to wait behind."""
        return not self._held

    def take(self, request: Request, frame_id: FrameId, size_bytes: int, wait_s: float) -> float:
        """Take it in ``wait_s``, behind those that wait; returns for how long (seconds) to read nothing."""
        now = asyncio.get_running_loop().time()
        self._held.append(_Held(request, frame_id, size_bytes, now, now + wait_s))
        self.held_bytes += size_bytes
        if len(self._held) == 1:
            self._tasks.spawn(self._run(), "paced requests")
        return wait_s if self.held_bytes > self._settings.held_max_bytes else 0.0

    async def _run(self) -> None:
        """Take the first, and then those behind it, whatever became of it."""
        await asyncio.sleep(max(0.0, self._held[0].due_at - asyncio.get_running_loop().time()))
        held = self._held.popleft()
        self.held_bytes -= held.size_bytes
        try:
            self._take(held.request, held.frame_id, held.asked_at)
        finally:
            if self._held:
                self._tasks.spawn(self._run(), "paced requests")
