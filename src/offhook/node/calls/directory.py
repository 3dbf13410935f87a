"""The calls of this node: live ones by id and by leg, and who ended lately."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from offhook.errors import CommandRefused
from offhook.node.calls.call import Call
from offhook.node.calls.leg import Leg
from offhook.protocol.codes import ResultCode

__all__ = ["CallDirectory"]

_MAX_ENDED = 100_000


class CallDirectory:
    """Finds calls. An ended one is remembered for ``ended_kept_s``, for 410 instead of 404."""

    def __init__(self, ended_kept_s: float) -> None:
        self._ended_kept_s = ended_kept_s
        self._calls: dict[str, Call] = {}
        self._by_leg: dict[str, Call] = {}
        self._ended: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(list(self._calls.values()))

    def add(self, call: Call) -> None:
        """A call begins."""
        self._calls[call.call_id] = call
        self._by_leg[call.leg.id] = call

    def move(self, call: Call, leg: Leg) -> None:
        """A call goes on with another leg."""
        self._by_leg.pop(call.leg.id, None)
        call.leg = leg
        self._by_leg[leg.id] = call

    def remove(self, call: Call) -> None:
        """A call has ended."""
        now = asyncio.get_running_loop().time()
        self._calls.pop(call.call_id, None)
        self._by_leg.pop(call.leg.id, None)
        self._ended[call.call_id] = now
        self._forget(now)

    def by_leg(self, leg: str) -> Call | None:
        """The call of a leg; None for one that is gone."""
        return self._by_leg.get(leg)

    def has_ended(self, call_id: str) -> bool:
        """Whether a call ended lately."""
        return call_id in self._ended

    def find(self, call_id: str) -> Call:
        """A live call.

        Raises:
            CommandRefused: 410 for one that ended lately, else 404.
        """
        if call := self._calls.get(call_id):
            return call
        self._forget(asyncio.get_running_loop().time())
        if call_id in self._ended:
            raise CommandRefused(ResultCode.GONE, "The call has ended")
        raise CommandRefused(ResultCode.NOT_FOUND, "No such call on this node: check call_id and node_id")

    def _forget(self, now: float) -> None:
        while self._ended:
            call_id, ended = next(iter(self._ended.items()))
            if now - ended < self._ended_kept_s and len(self._ended) <= _MAX_ENDED:
                return
            del self._ended[call_id]
