"""Events of one session: kept until acked, sent once per connection, replayed in order after a resume."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

from offhook.node.gateway.connection import Connection
from offhook.node.gateway.limits import Budget
from offhook.node.gateway.replay import Read, Replay, Rest
from offhook.node.gateway.settings import GatewaySettings
from offhook.node.gateway.tasks import Tasks
from offhook.node.gateway.unacked import Truncation, Unacked
from offhook.node.store.port import Journal, JournalFailure, StoredEvent

__all__ = ["Delivery"]


class Delivery:
    """One session's side of the journal: the sockets, the tasks and the journal of its ``Replay``, which decides."""

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
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self.wants_acks = True
        """False: the client said that it does not ack; what was written to its socket counts as acked."""
        self.on_ack: Callable[[str, str], None] = lambda _call_id, _event_type: None
        self._unacked = Unacked(settings, budget or Budget(settings.retention_total_bytes), truncation)
        self._replay = Replay(self._unacked, settings, last_seq=last_seq, is_new=is_loaded)
        self._connection: Connection | None = None
        self._replaying: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._is_forgetting = False

    @property
    def last_seq(self) -> int:
        """The last ``session_seq`` that was given."""
        return self._replay.last_seq

    def number(self) -> int:
        """The next ``session_seq``."""
        return self._replay.number()

    @property
    def truncation(self) -> Truncation:
        """What was dropped unacked and not told yet."""
        return self._unacked.truncation

    @truncation.setter
    def truncation(self, truncation: Truncation) -> None:
        self._unacked.truncation = truncation

    @property
    def unacked(self) -> int:
        """How many events wait for an ack."""
        return len(self._unacked)

    @property
    def kept_bytes(self) -> int:
        """What the unacked events take."""
        return self._unacked.size_bytes

    def is_unacked(self, event_id: str, session_seq: int) -> bool:
        """See ``Replay.is_unacked``."""
        return self._replay.is_unacked(event_id, session_seq)

    def holds(self, call_id: str) -> bool:
        """See ``Replay.holds``."""
        return self._replay.holds(call_id)

    # --- the connection ---

    def attach(self, connection: Connection) -> None:
        """Send on this connection from now on, what is unacked first."""
        self.detach()
        self._connection = connection
        self._replay.attach(self._time())
        if self._replay.is_behind:
            self._replaying = self._tasks.spawn(self._run_replay(connection), "replay")

    def heard(self, connection: Connection) -> None:
        """The client said its first word on a connection; only the current one matters."""
        if connection is self._connection:
            self._replay.heard(self._time())
            self._wake.set()

    def detach(self) -> None:
        """The connection is gone or going: what comes is kept in the journal alone."""
        self._connection = None
        self._replay.detach(self._time())
        if self._replaying is not None:
            self._replaying.cancel()
            self._replaying = None

    def deliver(self, event: StoredEvent, lane: str, *, is_synced: bool) -> None:
        """Send an event that is in the journal, when it may; see ``Replay.journalled``."""
        goes = self._replay.journalled(event, self._time(), lane, is_synced=is_synced)
        if goes and self._connection is not None:
            self._send(self._connection, event)
        if self._unacked.to_forget:
            self._forget_soon()

    def synced(self, event: StoredEvent) -> None:
        """The event is on the disk, or never will be."""
        for free in self._replay.synced(event):
            if self._connection is not None:
                self._send(self._connection, free)

    def _send(self, connection: Connection, event: StoredEvent) -> bool:
        if self.wants_acks:
            return connection.send_event(event.frame)
        return connection.send_event(event.frame, partial(self._written, event.id))

    def _written(self, event_id: str) -> None:
        self.acknowledge(event_id)

    async def _run_replay(self, connection: Connection) -> None:
        while connection is self._connection:
            step = self._replay.next(self._time())
            if isinstance(step, StoredEvent):
                if not self._send(connection, step):
                    return
                await connection.room()
                continue
            self._forget_soon()
            if isinstance(step, Read):
                await self._read(step)
            elif isinstance(step, Rest):
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(step.until):
                        await self._wake.wait()
            else:
                return

    async def _read(self, step: Read) -> None:
        try:
            page = await self._journal.unacknowledged(self._protocol, step.after, self._settings.replay_window)
        except JournalFailure:
            self._replay.unreadable(self._time())
        else:
            self._replay.read(page)

    # --- acks and retention ---

    def acknowledge(self, event_id: str) -> bool:
        """The client has it. False for an id that is not (any more) waited for."""
        kept = self._unacked.forget(event_id)
        if kept is None:
            return False
        self._settle()
        self.on_ack(kept.call_id, kept.event_type)
        return True

    def retract(self, call_id: str) -> None:
        """Send the offer of a call never (again); where it is in a socket's queue already, it goes out."""
        self._replay.retract(call_id)
        self._settle()

    def sweep(self, before: float) -> None:
        """Drop what has been unacked since before a time of the loop."""
        self._unacked.sweep(before)
        self._settle()

    def drop_oldest(self) -> None:
        """Give up an unacked event before its time."""
        self._unacked.drop_oldest()
        self._settle()

    def close(self) -> None:
        """The session is gone, and the journal told."""
        self._replay.close()

    def _settle(self) -> None:
        self._wake.set()
        self._forget_soon()

    def _forget_soon(self) -> None:
        """What goes in one turn of the loop is told to the journal together."""
        if self._unacked.to_forget and not self._is_forgetting:
            self._is_forgetting = True
            self._loop.call_soon(self._forget_journalled)

    def _forget_journalled(self) -> None:
        self._is_forgetting = False
        seqs, self._unacked.to_forget = self._unacked.to_forget, []
        self._journal.acknowledge(self._protocol, seqs)
