"""First replies to request ids of one session: the same id again gets the same reply and has no second effect."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable

from offhook.node.gateway.limits import Budget
from offhook.node.store.port import StoredReply
from offhook.protocol.frames import FrameId

__all__ = ["Ledger", "key_of"]

_OVERHEAD_BYTES = 400
"""What an id costs beside its text and its reply: the future, the entry and the place in the table."""


class _Entry:
    __slots__ = ("at", "reply", "since", "size_bytes")

    def __init__(self, at: float, since: float, reply: asyncio.Future[str]) -> None:
        self.at = at
        self.since = since
        self.reply = reply
        self.size_bytes = _OVERHEAD_BYTES


class Ledger:
    """Bounded in count, bytes and age. Times are seconds of a clock that nobody sets (``SteadyTime``).

    ``on_drop`` is told the key (``key_of``) and the time of each reply that goes before its time.
    """

    def __init__(
        self, max_ids: int, max_bytes: int, on_drop: Callable[[str, float], None], budget: Budget | None = None
    ) -> None:
        self._max_ids = max_ids
        self._max_bytes = max_bytes
        self._on_drop = on_drop
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._budget = budget or Budget(max_bytes)
        self.size_bytes = 0
        """What they take, their replies included."""

    def restore(self, replies: Iterable[StoredReply], now: float) -> None:
        """Take what a journal kept, oldest first, as if it were new; ids that are known already stay as they are."""
        loop = asyncio.get_running_loop()
        for stored in replies:
            if stored.request_id not in self._entries:
                reply: asyncio.Future[str] = loop.create_future()
                reply.set_result(stored.reply)
                self._put(stored.request_id, _Entry(stored.at, now, reply), len(stored.reply))
        self._trim()

    def find(self, frame_id: FrameId) -> asyncio.Future[str] | None:
        """The first reply to this id, perhaps still to come; None: the id is new."""
        entry = self._entries.get(key_of(frame_id))
        return entry.reply if entry is not None else None

    def begin(self, frame_id: FrameId, at: float) -> asyncio.Future[str]:
        """Note a new id; the future is for ``settle``."""
        reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        key = key_of(frame_id)
        self._put(key, _Entry(at, at, reply), 0)
        self._trim()
        return reply

    def settle(self, frame_id: FrameId, first: asyncio.Future[str], reply: str) -> None:
        """The reply to an id that ``begin`` noted."""
        first.set_result(reply)
        entry = self._entries.get(key_of(frame_id))
        if entry is not None and entry.reply is first:
            entry.size_bytes += len(reply)
            self._grow(len(reply))
            self._trim()

    def _put(self, key: str, entry: _Entry, size_bytes: int) -> None:
        entry.size_bytes += len(key) + size_bytes
        self._entries[key] = entry
        self._grow(entry.size_bytes)

    def _grow(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        self._budget.add(size_bytes)

    def drop_oldest(self) -> None:
        """Forget one before its time."""
        if self._entries:
            self._on_drop(*self._pop())

    def _trim(self) -> None:
        while len(self._entries) > self._max_ids or self.size_bytes > self._max_bytes:
            self.drop_oldest()

    def _pop(self) -> tuple[str, float]:
        key, entry = self._entries.popitem(last=False)
        self._grow(-entry.size_bytes)
        return key, entry.at

    def clear(self) -> None:
        """The session is gone."""
        while self._entries:
            self._pop()

    def sweep(self, before: float) -> None:
        """Forget ids that are too old."""
        while self._entries:
            entry = next(iter(self._entries.values()))
            if entry.since >= before or not entry.reply.done():
                return
            self._pop()


def key_of(frame_id: FrameId) -> str:
    """A text that tells 1 from "1", and both from "#1"."""
    if isinstance(frame_id, str):
        return f"#{frame_id}" if frame_id.startswith("#") else frame_id
    return f"#{frame_id}"
