"""Takes the changes of the journal: into its tail in the turn of the loop, into the database a second later."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog

from offhook.node.store.changes import Change, fold
from offhook.node.store.database import Database
from offhook.node.store.port import JournalFailure
from offhook.node.store.remedy import remedy_of
from offhook.node.store.tail import Tail
from offhook.node.store.thread import WorkThread

__all__ = ["Writer", "WriterSettings"]

T = TypeVar("T")
log = structlog.get_logger(__name__)
_ENCODE = msgspec.msgpack.Encoder().encode


class WriterSettings(msgspec.Struct, frozen=True):
    """How the writer behaves."""

    sync_interval_s: float = 1.0
    """What was not asked to be durable is on the disk, in the database, after this long."""
    retry_interval_s: float = 0.5
    """How often a write is tried again while the disk refuses."""
    backlog_max_bytes: int = 64 << 20
    """What is kept in memory meanwhile; beyond it the oldest writes are lost, and counted."""
    checkpoint_interval_s: float = 60.0
    """How long what was deleted may still stand in the write-ahead log, as long as there are writes."""


class _Promise(NamedTuple):
    done: asyncio.Future[None]
    wants_sync: bool


class _Write(NamedTuple):
    changes: list[Change]
    size_bytes: int
    is_in_tail: bool


class Writer:
    """Serialises all access to one SQLite file and its tail.

    What is submitted in one turn of the loop is one record of the tail. A write to the page cache takes microseconds,
    a thread and back a hundred times that; only who wants a sync waits for a thread. The database gets what is left of
    all that once per ``sync_interval_s``, synced (SQLite documentation, pragma synchronous: FULL).

    When the disk refuses, what is new stays in memory until the database took all of it.
    """

    def __init__(self, path: Path, settings: WriterSettings | None = None) -> None:
        self._path = path
        self._settings = settings or WriterSettings()
        self._tail = Tail(path)
        self._database = WorkThread("offhook-journal")
        self._syncs = WorkThread("offhook-sync")
        self._file = Database(path, self._settings.checkpoint_interval_s)
        self._pending: list[Change] = []
        self._encoded: list[msgspec.Raw] = []
        self._promises: list[_Promise] = []
        self._due: list[asyncio.Future[None]] = []
        self._unapplied: list[_Write] = []
        self._writes = 0
        self._unapplied_bytes = 0
        self._committing_bytes = 0
        self._applying = asyncio.Lock()
        self._leaving: asyncio.Handle | None = None
        self._apply_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._syncing: asyncio.Task[None] | None = None
        self._is_failing = False
        self._has_lost_sync = False
        self._is_closed = False
        self.remedy = ""
        """What to do about the last failure: the end of a sentence."""
        self.writes_lost = 0
        """Changes given up because the backlog was full."""

    @property
    def is_healthy(self) -> bool:
        """The last write worked."""
        return not self._is_failing

    @property
    def backlog_bytes(self) -> int:
        """What the database has not taken yet, with what it is about to take."""
        return self._unapplied_bytes + self._committing_bytes

    async def start(self) -> None:
        """Open the file, and put into it what a process that died left in the tail.

        Raises:
            JournalFailure: it cannot be opened, or is no journal.
        """
        try:
            await self._in_database(self._open)
            await self._in_syncs(lambda: None)
        except (sqlite3.Error, OSError, KeyError, msgspec.MsgspecError) as error:
            self._is_closed = True
            await self._in_database(self._close_database)
            await self._in_syncs(lambda: self._tail.close(keeps_files=True))
            self._shut_threads()
            raise JournalFailure(
                f"the journal {self._path.name} cannot be opened ({error}): free the disk or its permissions, "
                "or move the file and its tails away to begin a new one"
            ) from error

    async def close(self) -> None:
        """Write what is pending, sync, close."""
        if self._is_closed:
            return
        await self.flushed()
        self._is_closed = True
        await self._applied()
        self._stop_timers()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._unapplied:
            log.error("the journal ends without its last writes", writes=len(self._unapplied))
        await self._in_database(self._close_database)
        keeps_files = bool(self._unapplied)
        await self._in_syncs(lambda: self._tail.close(keeps_files=keeps_files))
        self._shut_threads()

    def submit(self, changes: Sequence[Change]) -> asyncio.Future[None]:
        """Write at the end of this turn; the future is done when it is written. No write waits for a sync."""
        return self._promise(changes, wants_sync=False)

    def sync(self) -> asyncio.Future[None]:
        """Sync at the end of this turn; the future is done, and those of writes before it are, when that is done."""
        return self._promise((), wants_sync=True)

    def _promise(self, changes: Sequence[Change], *, wants_sync: bool) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        done.add_done_callback(_retrieve)
        if self._is_closed:
            done.set_exception(JournalFailure("the journal is closed"))
            return done
        self.note(changes)
        self._promises.append(_Promise(done, wants_sync))
        return done

    def note(self, changes: Sequence[Change]) -> None:
        """The same for what nobody waits for."""
        if self._is_closed:
            return
        if len(changes) == 1:
            self._encoded.append(msgspec.Raw(_ENCODE(changes[0])))  # who asks for the impossible is told now
        else:
            self._encoded += [msgspec.Raw(_ENCODE(change)) for change in changes]
        self._pending += changes
        if self._leaving is None:
            self._leaving = asyncio.get_running_loop().call_soon(self._leave)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` on the database, after all that was submitted before.

        Raises:
            JournalFailure: some of that is not on the disk, or reading failed.
        """
        await self.flushed()
        await self._applied()
        connection = self._file.connection
        if self._is_failing or connection is None:
            raise JournalFailure(f"the journal cannot be written: {self.remedy}")
        try:
            return await self._in_database(lambda: work(connection))
        except sqlite3.Error as error:
            raise JournalFailure(f"the journal cannot be read: {error}") from error

    async def flushed(self) -> None:
        """Wait until all that was submitted so far was written, and synced where that was wanted, or has failed."""
        is_synced_soon = self._syncing is not None or any(promise.wants_sync for promise in self._promises)
        await asyncio.wait([self.sync() if is_synced_soon else self.submit([])])

    # --- the tail ---

    def _leave(self) -> None:
        """One record of all that came in this turn."""
        self._leaving = None
        changes, self._pending = self._pending, []
        encoded, self._encoded = self._encoded, []
        promises, self._promises = self._promises, []
        error: OSError | None = None
        try:
            if self._is_failing:
                raise OSError("the disk does not take writes")
            if changes:
                if self._unapplied_bytes + self._committing_bytes > self._settings.backlog_max_bytes:
                    raise OSError("the database has taken nothing for too long")
                self._write(changes, msgspec.msgpack.encode(encoded))
        except OSError as refusal:
            error = refusal
            if changes:
                self._keep(changes)
            self._refuse(error, is_news=not self._is_failing)
        for done, wants_sync in promises:
            if wants_sync and error is None:
                self._due.append(done)
            else:
                self._tell(done, error)
        if self._due and self._syncing is None:
            self._syncing = self._spawn(self._sync(), "journal sync")

    async def _sync(self) -> None:
        waiting, self._due = self._due, []
        error: OSError | None = OSError("its sync was given up")
        try:
            if self._has_lost_sync:
                raise OSError("what was written before may be lost")
            await self._in_syncs(self._tail.sync)
            error = None
        except OSError as refusal:
            error = refusal
            self._has_lost_sync = True  # the kernel tells it once, and may take the next sync for good (fsync(2))
            self._refuse(error)
        finally:
            for done in waiting:
                self._tell(done, error)
            self._syncing = self._spawn(self._sync(), "journal sync") if self._due else None

    def _write(self, changes: list[Change], record: bytes) -> None:
        self._tail.append(record)
        self._writes += 1
        self._unapplied.append(_Write(changes, len(record), is_in_tail=True))
        self._unapplied_bytes += len(record)
        if self._unapplied_bytes > self._settings.backlog_max_bytes // 4 and not self._applying.locked():
            self._spawn(self._apply(), "journal apply")
        elif self._apply_timer is None:
            self._apply_after(self._settings.sync_interval_s)

    # --- the database ---

    def _apply_after(self, delay_s: float) -> None:
        def due() -> None:
            self._apply_timer = None
            self._spawn(self._apply(), "journal apply")

        if not self._is_closed:
            self._apply_timer = asyncio.get_running_loop().call_later(delay_s, due)

    async def _applied(self) -> None:
        """Wait until all that was written so far is in the database; who waits may go, the work goes on."""
        await asyncio.wait([self._spawn(self._apply(self._writes), "journal apply")])

    async def _apply(self, wanted: int = 0) -> None:
        """Bring all that is in the tail, or was kept beside it, into the database; a new tail takes what comes.

        ``wanted``: the number of the last write that somebody waits for, which another may have brought there already.
        """
        async with self._applying:
            if wanted and wanted <= self._writes - len(self._unapplied):
                return
            try:
                if self._unapplied and not self._is_failing:
                    if not self._tail.is_ready:
                        await self._in_syncs(self._tail.prepare)
                    last = self._tail.rotate()
                    await self._apply_changes(last)
                    await self._in_syncs(lambda: self._drop(last))
                if self._is_failing:
                    await self._recover()
            except (sqlite3.Error, OSError, OverflowError) as error:
                self._refuse(error)

    async def _recover(self) -> None:
        """Nothing goes to the tail until the database took all that was kept."""
        await self._in_syncs(self._tail.prepare)
        while self._unapplied:
            await self._apply_changes(self._tail.number)
        last = self._tail.rotate()
        self._is_failing = self._has_lost_sync = False
        await self._in_syncs(lambda: self._drop(last))

    async def _apply_changes(self, last: int) -> None:
        """``last``: the number of the newest file that holds some of them; a recovery reads none up to it."""
        writes, self._unapplied = self._unapplied, []
        size_bytes, self._unapplied_bytes = self._unapplied_bytes, 0
        self._committing_bytes = size_bytes
        try:
            changes = (change for write in writes for change in write.changes)
            await self._in_database(lambda: self._commit(fold(changes), last))
        except BaseException:
            self._unapplied[:0] = writes
            self._unapplied_bytes += size_bytes
            raise
        finally:
            self._committing_bytes = 0

    # --- a disk that refuses ---

    def _refuse(self, error: Exception, *, is_news: bool = True) -> None:
        """Try again soon, by the database alone. ``is_news``: the machine said it now."""
        if is_news:
            self.remedy = remedy_of(error)
        if not self._is_failing:
            log.error("journal write refused", error=str(error), remedy=self.remedy, writes=len(self._unapplied))
            self._is_failing = True
            if self._apply_timer is not None:
                self._apply_timer.cancel()
                self._apply_timer = None
        if self._apply_timer is None:
            self._apply_after(self._settings.retry_interval_s)

    def _keep(self, changes: list[Change]) -> None:
        write = _Write(changes, _size_bytes(changes), is_in_tail=False)
        self._writes += 1
        self._unapplied.append(write)
        self._unapplied_bytes += write.size_bytes
        while self._unapplied_bytes > self._settings.backlog_max_bytes:
            kept = next(at for at, one in enumerate(self._unapplied) if not one.is_in_tail)
            if kept == len(self._unapplied) - 1:
                return
            lost = self._unapplied.pop(kept)
            self._unapplied_bytes -= lost.size_bytes
            self.writes_lost += len(lost.changes)

    def _tell(self, done: asyncio.Future[None], error: OSError | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(JournalFailure(f"the journal could not write ({error}): {self.remedy}"))

    # --- in the threads ---

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _in_database(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._database, work)

    async def _in_syncs(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._syncs, work)

    def _shut_threads(self) -> None:
        self._database.shutdown(wait=True)
        self._syncs.shutdown(wait=True)

    def _stop_timers(self) -> None:
        for timer in (self._apply_timer, self._leaving):
            if timer is not None:
                timer.cancel()

    def _open(self) -> None:
        applied = self._file.open()
        decode = msgspec.msgpack.Decoder(list[Change]).decode
        left = fold(change for record in self._tail.recover(applied) for change in decode(record))
        if left:
            self._commit(left, self._tail.number)
        self._tail.forget()
        self._tail.prepare()
        self._tail.rotate()
        self._tail.prepare()

    def _commit(self, changes: Sequence[Change], last: int) -> None:
        self._file.commit(changes, last)

    def _drop(self, last: int) -> None:
        self._tail.drop(last)
        with contextlib.suppress(OSError):  # asked for, and told, when it is needed
            self._tail.prepare()

    def _close_database(self) -> None:
        self._file.close()


def _size_bytes(changes: Sequence[Change]) -> int:
    """What a write counts for in the backlog."""
    return sum(len(value) if isinstance(value, str | bytes) else 16 for _, row in changes for value in row)


def _retrieve(done: asyncio.Future[None]) -> None:
    """Mark a failure as seen: not everybody waits for a write, and the writer has logged it."""
    if not done.cancelled():
        done.exception()
