"""Events of one session: kept until acked, sent once per connection, replayed in order after a resume."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import NamedTuple

import structlog

from offhook.node.gateway.connection import Connection
from offhook.node.gateway.limits import Budget
from offhook.node.gateway.settings import GatewaySettings
from offhook.node.gateway.tasks import Tasks
from offhook.node.store.port import Journal, JournalFailure, StoredEvent
from offhook.protocol.verbs.state import RECEIVE_EVENT

__all__ = ["Delivery", "Truncation"]

log = structlog.get_logger(__name__)
_RETRY_S = 0.5


class Truncation(NamedTuple):
    """Numbers (``session_seq``) of the events that were dropped unacked; (0, 0): none."""

    first: int
    last: int


class _Kept(NamedTuple):
    session_seq: int
    size_bytes: int
    call_id: str
    event_type: str
    since: float
    """Time of the loop: nobody sets it."""


class Delivery:
    """One session's side of the journal.

    Live, an event goes out as soon as it is journalled. After ``attach`` with unacked events left, those are read
    from the journal in pages and sent first; what is journalled meanwhile is found there too.

    An offer that went out on a connection before may have arrived there, and its ack been lost: stock clients would
    run their handler twice. It waits until the client was back for ``offer_repeat_s`` in all, and what is behind it of
    its call with it; a command for the call shows that the client has it, and takes it back.
    """

    def __init__(
        self,
        protocol: str,
        journal: Journal,
        settings: GatewaySettings,
        tasks: Tasks,
        *,
        last_seq: int,
        truncation: Truncation,
        is_loaded: bool,
        budget: Budget | None = None,
    ) -> None:
        self._protocol = protocol
        self._journal = journal
        self._settings = settings
        self._tasks = tasks
        self.last_seq = last_seq
        self.truncation = truncation
        self.wants_acks = True
        """False: the client said that it does not ack; what was written to its socket counts as acked."""
        self.on_ack: Callable[[str, str], None] = lambda _call_id, _event_type: None
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._budget = budget or Budget(settings.retention_total_bytes)
        self.kept_bytes = 0
        """What the unacked events take."""
        self._offers_kept: dict[str, set[str]] = {}
        """Ids of the offers among them, by call."""
        self._is_loaded = is_loaded
        self._retracted: dict[str, int] = {}
        self._connection: Connection | None = None
        self._is_live = False
        self._delivered_seq = last_seq
        self._before_seq = last_seq
        self._offered: set[str] = set()
        self._postponed: dict[str, float] = {}
        self._patience_s: dict[str, float] = {}
        self._taken_back: set[str] = set()
        self._is_taken_back = asyncio.Event()
        self._acked_in_window = asyncio.Event()
        self._replayed: set[str] = set()
        self._replay: asyncio.Task[None] | None = None
        self._to_forget: list[int] = []
        self._is_closed = False

    def number(self) -> int:
        """The next ``session_seq``."""
        self.last_seq += 1
        return self.last_seq

    @property
    def unacked(self) -> int:
        """How many events wait for an ack."""
        return len(self._kept)

    def is_unacked(self, event_id: str, session_seq: int) -> bool:
        """The client has not said that it has this event, which may be still on its way through the journal."""
        return event_id in self._kept or session_seq > self._delivered_seq

    # --- the connection ---

    def attach(self, connection: Connection) -> None:
        """Send on this connection from now on, what is unacked first."""
        self.detach()
        self._connection = connection
        if self._is_loaded and not self._kept:
            self._is_live = True
        else:
            self._replay = self._tasks.spawn(self._run_replay(connection), "replay")

    def detach(self) -> None:
        """The connection is gone or going: what comes is kept in the journal alone."""
        self._connection = None
        self._is_live = False
        self._replayed.clear()
        now = asyncio.get_running_loop().time()
        still = {call: until for call, until in self._postponed.items() if call not in self._taken_back}
        self._patience_s |= {call: max(0.0, until - now) for call, until in still.items()}
        self._postponed.clear()
        self._taken_back.clear()
        if self._replay is not None:
            self._replay.cancel()
            self._replay = None

    def deliver(self, event: StoredEvent) -> None:
        """Send an event that is in the journal (or that the journal refused: then it has this one chance)."""
        if self._is_closed:  # the session went while it was on its way through the journal
            return
        self._keep(event)
        self._delivered_seq = event.session_seq
        if self._is_retracted(event):
            self._forget(event.id)
        elif self._is_live and self._connection is not None and event.call_id not in self._postponed:
            self._send(self._connection, event)
        if self._is_loaded and self._delivered_seq == self.last_seq:
            self._retracted.clear()

    def _send(self, connection: Connection, event: StoredEvent) -> bool:
        if event.event_type == RECEIVE_EVENT:
            self._offered.add(event.id)
        if self.wants_acks:
            return connection.send_event(event.frame)
        return connection.send_event(event.frame, lambda: self._written(event.id))

    def _written(self, event_id: str) -> None:
        self.acknowledge(event_id)

    async def _run_replay(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        if await self._send_unacked(connection, self._is_due):
            self._is_loaded = True
            self._is_live = True
        while self._postponed and connection is self._connection:
            if not self._taken_back:  # some may have been while the rest was sent
                self._is_taken_back.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(min(self._postponed.values())):
                        await self._is_taken_back.wait()
            calls = self._taken_back | {call for call, until in self._postponed.items() if until <= loop.time()}
            if not await self._send_unacked(connection, partial(_is_of, calls)):
                return
            self._taken_back -= calls
            for call_id in calls:
                self._postponed.pop(call_id, None)

    async def _send_unacked(self, connection: Connection, is_due: Callable[[StoredEvent], bool]) -> bool:
        """Send what is unacked and due; True when there is no more, False when the connection went."""
        cursor = 0
        while connection is self._connection:
            delivered = self._delivered_seq
            try:
                page = await self._journal.unacknowledged(self._protocol, cursor, self._settings.replay_window)
            except JournalFailure:
                await asyncio.sleep(_RETRY_S)
                continue
            # What is on the disk while its ``deliver`` is still to come is read again after that.
            page = [event for event in page if event.session_seq <= self._delivered_seq]
            for event in page:
                cursor = event.session_seq
                if not self._is_wanted(event) or not is_due(event):
                    continue
                self._replayed.add(event.id)
                if not self._send(connection, event):
                    return False
                await connection.room()
            if page:
                await self._acked_enough()
            elif delivered == self._delivered_seq:
                return connection is self._connection
        return False

    def _is_due(self, event: StoredEvent) -> bool:
        """Not an offer that may be known, nor behind one."""
        is_known = event.id in self._offered or event.session_seq <= self._before_seq
        if event.event_type == RECEIVE_EVENT and is_known and event.call_id not in self._postponed:
            patience_s = self._patience_s.pop(event.call_id, self._settings.offer_repeat_s)
            if patience_s:
                self._postponed[event.call_id] = asyncio.get_running_loop().time() + patience_s
        return event.call_id not in self._postponed

    def _is_wanted(self, event: StoredEvent) -> bool:
        """Whether an event of the journal is still unacked; after a restart the journal knows better than we do."""
        if not self._is_loaded and event.id not in self._kept and not self._is_retracted(event):
            self._keep(event)
        return event.id in self._kept

    def _is_retracted(self, event: StoredEvent) -> bool:
        is_offer = event.event_type == RECEIVE_EVENT
        return is_offer and event.session_seq <= self._retracted.get(event.call_id, 0)

    async def _acked_enough(self) -> None:
        while len(self._replayed) >= self._settings.replay_window:
            self._acked_in_window.clear()
            await self._acked_in_window.wait()

    # --- acks and retention ---

    def acknowledge(self, event_id: str) -> bool:
        """The client has it. False for an id that is not (any more) waited for."""
        kept = self._forget(event_id)
        if kept is None:
            return False
        self.on_ack(kept.call_id, kept.event_type)
        return True

    def retract(self, call_id: str) -> None:
        """Send the offer of a call never (again); where it is in a socket's queue already, it goes out."""
        if not self._is_loaded or self._delivered_seq < self.last_seq:  # it may be still on its way
            self._retracted[call_id] = self.last_seq
        for event_id in list(self._offers_kept.get(call_id, ())):
            self._forget(event_id)
        if call_id in self._postponed:
            self._taken_back.add(call_id)
            self._is_taken_back.set()

    def sweep(self, before: float) -> None:
        """Drop what has been unacked since before a time of the loop."""
        self._truncate([key for key, kept in self._kept.items() if kept.since < before])

    def _keep(self, event: StoredEvent) -> None:
        since = asyncio.get_running_loop().time()
        self._kept[event.id] = _Kept(event.session_seq, event.size_bytes, event.call_id, event.event_type, since)
        self.kept_bytes += event.size_bytes
        self._budget.add(event.size_bytes)
        if event.event_type == RECEIVE_EVENT:
            self._offers_kept.setdefault(event.call_id, set()).add(event.id)
        settings = self._settings
        while len(self._kept) > settings.retention_max_events or self.kept_bytes > settings.retention_max_bytes:
            self.drop_oldest()

    def drop_oldest(self) -> None:
        """Give up an unacked event before its time."""
        if self._kept:
            self._truncate([next(iter(self._kept))])

    def close(self) -> None:
        """The session is gone, and the journal told."""
        self._is_closed = True
        self._budget.add(-self.kept_bytes)
        self.kept_bytes = 0
        self._kept.clear()

    def _truncate(self, event_ids: Iterable[str]) -> None:
        for event_id in event_ids:
            kept = self._forget(event_id)
            if kept is not None:
                first = min(self.truncation.first or kept.session_seq, kept.session_seq)
                self.truncation = Truncation(first, max(self.truncation.last, kept.session_seq))

    def _forget(self, event_id: str) -> _Kept | None:
        kept = self._kept.pop(event_id, None)
        if kept is None:
            return None
        self.kept_bytes -= kept.size_bytes
        self._budget.add(-kept.size_bytes)
        self._replayed.discard(event_id)
        self._offered.discard(event_id)
        if kept.event_type == RECEIVE_EVENT:
            self._patience_s.pop(kept.call_id, None)
            of_call = self._offers_kept[kept.call_id]
            of_call.discard(event_id)
            if not of_call:
                del self._offers_kept[kept.call_id]
        self._acked_in_window.set()
        if not self._to_forget:
            asyncio.get_running_loop().call_soon(self._forget_journalled)
        self._to_forget.append(kept.session_seq)
        return kept

    def _forget_journalled(self) -> None:
        seqs, self._to_forget = self._to_forget, []
        self._journal.acknowledge(self._protocol, seqs)


def _is_of(calls: Collection[str], event: StoredEvent) -> bool:
    return event.call_id in calls
