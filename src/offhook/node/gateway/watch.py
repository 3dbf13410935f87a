"""Whether the peer of a socket is alive: by what it says, in time that the node's loop was able to listen."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from offhook.node.gateway.ids import new_event_id
from offhook.node.gateway.settings import GatewaySettings

__all__ = ["Watch", "listen_for"]

_STEPS = 5
_ON_TIME_S = 0.25


async def listen_for(duration_s: float, is_over: Callable[[], bool]) -> bool:
    """Wait for so long, or until ``is_over``, which is returned.

    What passes while the loop stands still (a busy machine, one that was suspended) is not listening: what came in
    meanwhile is read first, and who is waited for has the rest of its time.
    """
    loop = asyncio.get_running_loop()
    step_s = duration_s / _STEPS
    listened = 0
    while listened < _STEPS and not is_over():
        began_at = loop.time()
        await asyncio.sleep(step_s)
        listened += loop.time() - began_at < step_s + max(step_s, _ON_TIME_S)
    return is_over()


class Watch:
    """Pings each ``ping_interval_s`` by ``ping``, which gets the id (relay-protocol 1.7).

    A peer is dead that said nothing for ``silence_max_s``, or that answered none of ``pings_unanswered_max`` pings in
    a row, whatever else it said. The last quarter of the silence counts as long as the loop listens.
    """

    def __init__(self, settings: GatewaySettings, ping: Callable[[str], None]) -> None:
        self._settings = settings
        self._ping = ping
        self._time = asyncio.get_running_loop().time
        self._heard_at = self._time()
        self._is_deaf = False
        self._unanswered: deque[str] = deque(maxlen=settings.pings_unanswered_max + 1)
        self._hail_id = ""
        self._listen_s = settings.silence_max_s / 4

    def heard(self) -> None:
        """Something came."""
        self._heard_at = self._time()

    async def deafen(self, pause_s: float) -> None:
        """Nothing is read for so long, on purpose: that is no silence, and an answer may stand behind the rest."""
        self._is_deaf = True
        await asyncio.sleep(pause_s)
        self._is_deaf = False
        self._unanswered.clear()
        self.heard()

    def hail(self) -> None:
        """Ping at once, for a word of one that has nothing to say. Who does not answer this is not dead for it."""
        self._hail_id = new_event_id()
        self._unanswered.appendleft(self._hail_id)
        self._ping(self._hail_id)

    def took_answer(self, frame_id: object) -> bool:
        """Say whether this is the id of one of the latest pings, and take it: those before it need no answer."""
        if frame_id not in self._unanswered:
            return False
        while self._unanswered.popleft() != frame_id:
            continue
        return True

    async def until_dead(self) -> str:
        """Ping until the peer is dead; returns a sentence for it, empty where there is nobody to read it."""
        loop = asyncio.get_running_loop()
        next_ping = loop.time() + self._settings.ping_interval_s
        while True:
            await asyncio.sleep(max(0.0, min(self._suspect_at(), next_ping) - loop.time()))
            if loop.time() >= next_ping:
                self._forget_hail()
                if len(self._unanswered) == self._settings.pings_unanswered_max and (why := await self._unheard()):
                    return why
                next_ping = loop.time() + self._settings.ping_interval_s
                self._send()
            if loop.time() >= self._suspect_at() and not await listen_for(self._listen_s, self._is_heard):
                return ""

    def _suspect_at(self) -> float:
        heard_at = self._time() if self._is_deaf else self._heard_at
        return heard_at + self._settings.silence_max_s - self._listen_s

    def _is_heard(self) -> bool:
        return self._time() < self._suspect_at()

    async def _unheard(self) -> str:
        """An answer that came while the loop stood still is read first."""
        if await listen_for(_ON_TIME_S, lambda: len(self._unanswered) < self._settings.pings_unanswered_max):
            return ""
        return f"{len(self._unanswered)} pings in a row were not answered: reply to signalwire.ping"

    def _forget_hail(self) -> None:
        if self._hail_id in self._unanswered:
            self._unanswered.remove(self._hail_id)

    def _send(self) -> None:
        frame_id = new_event_id()
        self._unanswered.append(frame_id)
        self._ping(frame_id)
