"""One writer thread for a SQLite file: group commit, and a backlog while the disk refuses."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog

from offhook.node.store.port import JournalFailure
from offhook.node.store.thread import WorkThread

__all__ = ["Statement", "Writer", "WriterSettings"]

T = TypeVar("T")
Statement = tuple[str, Sequence[Any]]
log = structlog.get_logger(__name__)


class WriterSettings(msgspec.Struct, frozen=True):
    """How the writer behaves."""

    gather_s: float = 0.02
    """How long a write that nobody waits for may wait for company."""
    sync_interval_s: float = 1.0
    """What was not asked to be durable is on the disk after this long."""
    retry_interval_s: float = 0.5
    """How often a write is tried again while the disk refuses."""
    backlog_max_bytes: int = 64 << 20
    """What is kept in memory meanwhile; beyond it the oldest writes are lost, and counted."""


class _Write:
    """Statements that belong together, and who waits for them."""

    __slots__ = ("done", "durable", "statements")

    def __init__(self, statements: Sequence[Statement], durable: bool, done: asyncio.Future[None] | None) -> None:
        self.statements = statements
        self.durable = durable
        self.done = done

    @property
    def size_bytes(self) -> int:
        """What it counts for in the backlog."""
        return sum(len(value) if isinstance(value, str | bytes) else 16 for _, row in self.statements for value in row)


class Writer:
    """Serialises all access to one SQLite file in one thread.

    Everything submitted while a commit is under way goes into the next one, in the order in which it came; what was
    only gathered goes along, or leaves by itself after ``gather_s``. ``synchronous`` is FULL for a transaction with a
    durable write in it, and once per ``sync_interval_s``; else NORMAL, which survives the death of this process but
    not of the machine (SQLite documentation, pragma synchronous).
    """

    def __init__(self, path: Path, schema: str, settings: WriterSettings | None = None) -> None:
        self._path = path
        self._schema = schema
        self._settings = settings or WriterSettings()
        self._thread = WorkThread("offhook-journal")
        self._connection: sqlite3.Connection | None = None
        self._pending: deque[_Write] = deque()
        self._backlog: deque[_Write] = deque()
        self._backlog_bytes = 0
        self._committing: asyncio.Task[None] | None = None
        self._gather_timer: asyncio.TimerHandle | None = None
        self._sync_timer: asyncio.TimerHandle | None = None
        self._retry_timer: asyncio.TimerHandle | None = None
        self._is_failing = False
        self._is_closed = False
        self._synchronous = ""
        self.writes_lost = 0
        """Writes given up because the backlog was full."""

    @property
    def is_healthy(self) -> bool:
        """The last write worked."""
        return not self._is_failing

    async def start(self) -> None:
        """Open the file.

        Raises:
            JournalFailure: it cannot be opened, or is no journal.
        """
        try:
            await self._run(self._open)
        except (sqlite3.Error, OSError) as error:
            raise JournalFailure(
                f"the journal {self._path.name} cannot be opened ({error}): free the disk or its permissions, "
                "or move the file away to begin a new one"
            ) from error

    async def close(self) -> None:
        """Write what is pending, sync, close."""
        await self.flushed()
        self._is_closed = True
        for timer in (self._sync_timer, self._retry_timer, self._gather_timer):
            if timer is not None:
                timer.cancel()
        try:
            if self._connection is not None and self._sync_timer is not None:
                await self._run(lambda: self._commit([], durable=True))
        except sqlite3.Error as error:
            log.error("journal not synced at its end", error=str(error))
        finally:
            await self._run(self._close)
            self._thread.shutdown(wait=True)

    def submit(self, statements: Sequence[Statement], *, durable: bool = False) -> asyncio.Future[None]:
        """Write; the future is done when it is committed (and synced, when durable)."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.add_done_callback(_retrieve)
        if self._take(_Write(statements, durable, done)):
            self._kick()
        return done

    def gather(self, statements: Sequence[Statement]) -> None:
        """Write what nobody waits for, with the next commit; after ``gather_s`` at the latest."""
        if self._take(_Write(statements, False, None)) and self._committing is None:
            self._kick_later()

    def _take(self, write: _Write) -> bool:
        """Whether it is pending now; else it failed or waits for the disk."""
        if self._is_closed:
            if write.done is not None:
                write.done.set_exception(JournalFailure("the journal is closed"))
            return False
        if self._backlog:
            self._fail([write], "the disk does not take writes")
            return False
        self._pending.append(write)
        return True

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in the thread, after all that was submitted before.

        Raises:
            JournalFailure: some of that is not on the disk, or reading failed.
        """
        await self.flushed()
        if self._is_failing:
            raise JournalFailure("the journal's disk does not take writes: free some space")
        connection = self._require()
        try:
            return await self._run(lambda: work(connection))
        except sqlite3.Error as error:
            raise JournalFailure(f"the journal cannot be read: {error}") from error

    async def flushed(self) -> None:
        """Wait until all that was submitted so far was committed or has failed."""
        if not self._backlog:
            await asyncio.wait([self.submit([])])

    def _kick(self) -> None:
        if self._gather_timer is not None:
            self._gather_timer.cancel()
            self._gather_timer = None
        if self._committing is None:
            self._committing = asyncio.get_running_loop().create_task(self._drain(), name="journal commit")

    def _kick_later(self) -> None:
        if self._gather_timer is None:
            loop = asyncio.get_running_loop()
            self._gather_timer = loop.call_later(self._settings.gather_s, self._kick)

    async def _drain(self) -> None:
        """Commit until nobody waits any more."""
        try:
            is_awaited = True
            while is_awaited:
                batch = list(self._pending)
                self._pending.clear()
                await self._write(batch)
                is_awaited = any(write.done is not None for write in self._pending)
        finally:
            self._committing = None
            if self._pending:
                self._kick_later()

    async def _write(self, batch: list[_Write]) -> None:
        durable = any(write.durable for write in batch)
        try:
            if durable or any(write.statements for write in batch):
                await self._run(lambda: self._commit(batch, durable=durable))
        except sqlite3.Error as error:
            log.error("journal write refused", error=str(error), writes=len(batch))
            self._is_failing = True
            self._fail([*batch, *self._pending], str(error))  # what came meanwhile stays behind what failed
            self._pending.clear()
            self._schedule_retry()
            return
        if any(write.statements for write in batch):
            self._is_failing = False
        if not durable:
            self._schedule_sync()
        for write in batch:
            if write.done is not None and not write.done.done():
                write.done.set_result(None)

    def _fail(self, writes: Sequence[_Write], why: str) -> None:
        """Tell who waits, and keep the writes for the next try."""
        for write in writes:
            if write.done is not None and not write.done.done():
                write.done.set_exception(JournalFailure(f"the journal could not write ({why}): free some space"))
            if write.statements:
                self._keep(write)

    def _keep(self, write: _Write) -> None:
        self._backlog.append(write)
        self._backlog_bytes += write.size_bytes
        while self._backlog_bytes > self._settings.backlog_max_bytes and len(self._backlog) > 1:
            self._backlog_bytes -= self._backlog.popleft().size_bytes
            self.writes_lost += 1

    def _schedule_retry(self) -> None:
        loop = asyncio.get_running_loop()
        self._retry_timer = loop.call_later(self._settings.retry_interval_s, self._retry)

    def _retry(self) -> None:
        """Put the backlog first in the next commit; when that fails it comes back in the same order."""
        self._retry_timer = None
        self._pending.extendleft(reversed(self._backlog))
        self._backlog.clear()
        self._backlog_bytes = 0
        self._kick()

    def _schedule_sync(self) -> None:
        if self._sync_timer is None:
            loop = asyncio.get_running_loop()
            self._sync_timer = loop.call_later(self._settings.sync_interval_s, self._sync)

    def _sync(self) -> None:
        self._sync_timer = None
        self.submit([], durable=True)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _require(self) -> sqlite3.Connection:
        if self._connection is None:
            raise JournalFailure("the journal is not open")
        return self._connection

    # --- in the thread ---

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA busy_timeout=2000")
            connection.execute("PRAGMA foreign_keys=OFF")
            connection.executescript(self._schema)
        except sqlite3.Error:
            connection.close()
            raise
        self._connection = connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _commit(self, batch: Sequence[_Write], *, durable: bool) -> None:
        connection = self._require()
        synchronous = "FULL" if durable else "NORMAL"
        if synchronous != self._synchronous:
            connection.execute(f"PRAGMA synchronous={synchronous}")
            self._synchronous = synchronous
        connection.execute("BEGIN IMMEDIATE")
        try:
            for write in batch:
                for sql, row in write.statements:
                    connection.execute(sql, row)
            if durable:  # a commit that changes nothing would sync nothing
                connection.execute(
                    "INSERT OR REPLACE INTO meta VALUES ('commits', 1 + coalesce("
                    "(SELECT value FROM meta WHERE key = 'commits'), 0))"
                )
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _retrieve(done: asyncio.Future[None]) -> None:
    """Mark a failure as seen: not everybody waits for a write, and the writer has logged it."""
    if not done.cancelled():
        done.exception()
