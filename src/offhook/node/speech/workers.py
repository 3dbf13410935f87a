"""Some synthesisers side by side, taken by turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from offhook.errors import MachineError
from offhook.node.speech.espeak_worker import Ready
from offhook.node.speech.worker import SpeechWorker
from offhook.node.turns import Crowded, Late, Ticket, Turns

__all__ = ["SpeechWorkers", "waited_too_long"]


def waited_too_long(wait_s: float) -> MachineError:
    """What who waited in vain is told."""
    return MachineError(
        f"the text waited longer than {wait_s:.0f} s behind others for its words (tts.wait_s): "
        "play fewer texts at once, or raise tts.workers"
    )


class SpeechWorkers:
    """``number`` children. What is not due yet waits for what is, and each call for itself."""

    def __init__(self, *, timeout_s: float, number: int = 2, make: Callable[[], SpeechWorker] | None = None) -> None:
        make = make or (lambda: SpeechWorker(timeout_s=timeout_s))
        self.workers = [make() for _ in range(number)]
        self._idle = list(self.workers)
        self._turns = Turns(number)

    async def ready(self) -> Ready:
        """Start the first; what it has.

        Raises:
            ProviderError: it does not start.
        """
        return await self.workers[0].ready()

    async def start(self) -> None:
        """Start all.

        Raises:
            ProviderError: one does not start.
        """
        await asyncio.gather(*(worker.ready() for worker in self.workers))

    def ticket(self, turn: str, *, cost: float, due_s: float) -> Ticket:
        """For one piece of ``cost`` characters."""
        return self._turns.ticket(turn, cost=cost, due_s=due_s)

    @asynccontextmanager
    async def turn(self, ticket: Ticket, *, wait_s: float) -> AsyncIterator[SpeechWorker]:
        """A worker, when it is the ticket's turn.

        Raises:
            MachineError: it waited for too long (``wait_s``, which the ticket knows), or too many texts wait; says what
                to change.
        """
        try:
            async with ticket:
                worker = self._idle.pop()
                try:
                    yield worker
                finally:
                    self._idle.append(worker)
        except Late as error:
            raise waited_too_long(wait_s) from error
        except Crowded as error:
            raise MachineError("too many texts wait to be spoken: play fewer at once") from error

    async def close(self) -> None:
        """End the children."""
        await asyncio.gather(*(worker.close() for worker in self.workers))
