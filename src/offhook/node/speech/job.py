"""One text on its way to a prompt file, and the calls that wait for it or hear it."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec

from offhook.errors import OffhookError
from offhook.node.engine.prompts import Asker
from offhook.node.speech.workers import SpeechWorkers, waited_too_long
from offhook.node.turns import Ticket

__all__ = ["Job", "Utterance"]

_AHEAD_S = 3.0
_NEVER_S = float("inf")


class Utterance(msgspec.Struct, frozen=True):
    """What is said, how, and into which file."""

    name: str
    pieces: list[str]
    voice: str
    ssml: bool
    rate_hz: int


class Job:
    """``is_played``: somebody has it as a growing file. ``failure``: why there is no more.

    ``wait_s``: how long a piece waits for its turn after the time when somebody should hear it, for each of them.
    """

    task: asyncio.Task[None]

    def __init__(self, utterance: Utterance, wait_s: float) -> None:
        self.utterance = utterance
        self.begun = asyncio.Event()
        """The first piece has its turn, or never will."""
        self.first = asyncio.Event()
        self.over = asyncio.Event()
        self.failure: OffhookError | None = None
        self.is_played = False
        self.size_bytes = 0
        self._wait_s = wait_s
        self._heard_from_s = 0.0
        self._listeners: Counter[str] = Counter()
        self._turn = ""
        self._ticket: Ticket | None = None

    @property
    def seconds(self) -> float:
        """Of what was spoken so far."""
        return self.size_bytes / 2 / self.utterance.rate_hz

    def join(self, asker: Asker) -> None:
        """Somebody waits for it, until ``asker`` closes."""
        turn = asker.turn
        self._turn = self._turn or turn
        self._listeners[turn] += 1
        asker.keep(lambda: self._leave(turn))
        if self._ticket is not None:
            now = asyncio.get_running_loop().time()
            self._ticket.due_s = self._due_s()
            self._ticket.until_s = max(self._ticket.until_s, now + self.seconds + self._wait_s)
            self._ticket.join(turn)

    async def wait(self, settle_s: float) -> bool:
        """Until there is something to hear; True while more comes.

        Raises:
            MachineError: its turn did not come for ``wait_s`` from now, though it may for who asked later.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                await self.begun.wait()
        except TimeoutError as error:
            raise waited_too_long(self._wait_s) from error
        await self.first.wait()
        try:
            async with asyncio.timeout(settle_s):
                await self.over.wait()
        except TimeoutError:
            self.is_played = True
            return True
        if self.failure is not None:
            raise self.failure
        return False

    def due_in_s(self) -> float:
        """Until what was spoken so far has been heard."""
        now = asyncio.get_running_loop().time()
        if not self.size_bytes:
            return 0.0
        self._heard_from_s = self._heard_from_s or now
        return max(0.0, self._heard_from_s + self.seconds - now)

    def stand_in_line(self, workers: SpeechWorkers, cost: int) -> Ticket:
        """For the next piece."""
        turns = list(self._listeners) or [self._turn]
        self._ticket = workers.ticket(turns[0], cost=cost, due_s=self._due_s())
        self._ticket.until_s = asyncio.get_running_loop().time() + self.due_in_s() + self._wait_s
        for turn in turns:
            self._ticket.join(turn)
        return self._ticket

    def _leave(self, turn: str) -> None:
        self._listeners[turn] -= 1
        if not self._listeners[turn]:
            del self._listeners[turn]
        if not self._listeners and self._ticket is not None:
            self._ticket.due_s = _NEVER_S

    def _due_s(self) -> float:
        """When the next piece should begin to be spoken: some seconds before it is to be heard."""
        if not self._listeners:
            return _NEVER_S
        return asyncio.get_running_loop().time() + self.due_in_s() - _AHEAD_S
