"""Slots that are taken by turns: who asks for much waits behind itself, and nobody else does.

Start-time fair queueing: an asker's turn comes by what it was served so far, so that a newcomer stands before whoever
has had more than its share, and ten thousand things asked for at once cost only their asker.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from types import TracebackType

__all__ = ["Crowded", "Late", "Ticket", "Turns"]

_REMEMBERED = 1024


class Crowded(Exception):
    """Too much waits already; the ticket was not taken, or it was taken back for one of another asker."""


class Late(Exception):
    """The turn did not come in time; the ticket was taken back."""


class Ticket:
    """One piece of work that waits for a slot and then has it: ``async with ticket``.

    Equal work of several askers is one ticket (``join``); it has the best turn of theirs. ``due_s``: until that time of
    the loop others are served first. ``until_s``: so long it waits; who joins may set that later.
    """

    def __init__(self, turns: Turns, asker: str, group: str, cost: float, due_s: float) -> None:
        self.askers = [asker]
        self.group = group
        self.cost = cost
        self.due_s = due_s
        self.until_s = float("inf")
        self.payer = asker
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns = turns

    @property
    def was_served(self) -> bool:
        """Whether it got a slot."""
        return self.granted.done() and not self.granted.cancelled() and self.granted.exception() is None

    def join(self, asker: str) -> None:
        """Somebody else waits for the same."""
        if asker not in self.askers:
            self.askers.append(asker)
            self._turns.serve()

    async def __aenter__(self) -> None:
        """Wait for the turn.

        Raises:
            Crowded: too much waits.
            Late: it waited until ``until_s``.
        """
        loop = asyncio.get_running_loop()
        self._turns.enter(self)
        try:
            while not self.granted.done():
                left_s = self.until_s - loop.time()
                if left_s <= 0.0:
                    self._turns.withdraw(self)
                    raise Late
                await asyncio.wait([self.granted], timeout=None if left_s == float("inf") else left_s)
            self.granted.result()
        except asyncio.CancelledError:
            if self.was_served:
                self._turns.leave(self)
            else:
                self._turns.withdraw(self)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.leave(self)


class Turns:
    """``slots`` in all; of them ``per_group`` and ``per_asker`` at most for one group or asker (0: all)."""

    def __init__(
        self,
        slots: int,
        *,
        per_group: int = 0,
        per_asker: int = 0,
        waiting: int = 2048,
        waiting_per_asker: int = 64,
    ) -> None:
        self._free = slots
        self._per_group = per_group or slots
        self._per_asker = per_asker or slots
        self._waiting_most = waiting
        self._waiting_per_asker = waiting_per_asker
        self._waiting: dict[Ticket, None] = {}
        self._lines: Counter[str] = Counter()
        self._busy_groups: Counter[str] = Counter()
        self._busy_askers: Counter[str] = Counter()
        self._now = 0.0
        self._served: dict[str, float] = {}

    def ticket(self, asker: str, *, group: str = "", cost: float = 1.0, due_s: float = 0.0) -> Ticket:
        """Work of ``cost`` (of any unit, the same for all) for ``asker``."""
        return Ticket(self, asker, group, cost, due_s)

    # --- for tickets -----------------------------------------------------------------------------------------

    def enter(self, ticket: Ticket) -> None:
        """Stand in line; beyond the bound, who has most there pays."""
        asker = ticket.askers[0]
        if self._lines[asker] >= self._waiting_per_asker:
            raise Crowded
        if len(self._waiting) >= self._waiting_most:
            crowd, _ = self._lines.most_common(1)[0]
            if self._lines[crowd] <= self._lines[asker] + 1:
                raise Crowded
            last = next(waiting for waiting in reversed(self._waiting) if waiting.askers[0] == crowd)
            self.withdraw(last)
            if not last.granted.done():
                last.granted.set_exception(Crowded())
        self._waiting[ticket] = None
        self._lines[asker] += 1
        self.serve()

    def withdraw(self, ticket: Ticket) -> None:
        """Go out of the line."""
        if ticket in self._waiting:
            del self._waiting[ticket]
            _less(self._lines, ticket.askers[0])

    def leave(self, ticket: Ticket) -> None:
        """Give the slot back."""
        self._free += 1
        _less(self._busy_groups, ticket.group)
        _less(self._busy_askers, ticket.payer)
        self.serve()

    def serve(self) -> None:
        """Give free slots to those whose turn it is."""
        while self._free > 0 and (found := self._next()) is not None:
            ticket, payer, at = found
            self.withdraw(ticket)
            self._free -= 1
            self._now = max(self._now, at)
            self._served[payer] = at + ticket.cost
            self._forget()
            ticket.payer = payer
            self._busy_groups[ticket.group] += 1
            self._busy_askers[payer] += 1
            ticket.granted.set_result(None)

    def _next(self) -> tuple[Ticket, str, float] | None:
        now_s = asyncio.get_running_loop().time()
        best: tuple[Ticket, str, float] | None = None
        rank: tuple[bool, float] | None = None
        for ticket in self._waiting:
            if ticket.granted.done() or self._busy_groups[ticket.group] >= self._per_group:
                continue  # done: cancelled, and about to go
            able = [asker for asker in ticket.askers if self._busy_askers[asker] < self._per_asker]
            if not able:
                continue
            payer = min(able, key=self._turn)
            own = (ticket.due_s > now_s, self._turn(payer))
            if rank is None or own < rank:
                rank, best = own, (ticket, payer, own[1])
        return best

    def _turn(self, asker: str) -> float:
        return max(self._now, self._served.get(asker, 0.0))

    def _forget(self) -> None:
        """Who has had no more than a newcomer is one."""
        if len(self._served) > _REMEMBERED:
            self._served = {asker: at for asker, at in self._served.items() if at > self._now}


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
