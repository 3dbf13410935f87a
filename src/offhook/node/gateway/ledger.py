"""First replies to request ids of one session: the same id again gets the same reply and has no second effect."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from offhook.node.store.port import StoredReply
from offhook.protocol.frames import FrameId

__all__ = ["Ledger", "key_of"]


class _Entry(NamedTuple):
    at: float
    reply: asyncio.Future[str]


class Ledger:
    """Bounded in count and age. Times are seconds of the Unix epoch, as in the journal."""

    def __init__(self, max_ids: int) -> None:
        self._max_ids = max_ids
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def restore(self, replies: Iterable[StoredReply]) -> None:
        """Take what a journal kept, oldest first; ids that are known already stay as they are."""
        loop = asyncio.get_running_loop()
        for stored in replies:
            if stored.request_id not in self._entries:
                reply: asyncio.Future[str] = loop.create_future()
                reply.set_result(stored.reply)
                self._entries[stored.request_id] = _Entry(stored.at, reply)
        self._trim()

    def find(self, frame_id: FrameId) -> asyncio.Future[str] | None:
        """The first reply to this id, perhaps still to come; None: the id is new."""
        entry = self._entries.get(key_of(frame_id))
        return entry.reply if entry is not None else None

    def begin(self, frame_id: FrameId, at: float) -> asyncio.Future[str]:
        """Note a new id; its reply is to be set on the future."""
        reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._entries[key_of(frame_id)] = _Entry(at, reply)
        self._trim()
        return reply

    def _trim(self) -> None:
        while len(self._entries) > self._max_ids:
            self._entries.popitem(last=False)

    def sweep(self, before: float) -> None:
        """Forget ids that are too old."""
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if entry.at >= before or not entry.reply.done():
                return
            del self._entries[key]


def key_of(frame_id: FrameId) -> str:
    """A text that tells 1 from "1"."""
    return frame_id if isinstance(frame_id, str) else f"#{frame_id}"
