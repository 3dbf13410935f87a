"""node/store: what is written is there after a crash, in order; a disk that refuses is told, and tried again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import msgspec
import pytest

from offhook.node.store.journal import _REPLIES, SqliteJournal
from offhook.node.store.port import JournalFailure, LiveCall, OpenControl, StoredEvent, StoredReply, StoredSession
from offhook.node.store.writer import WriterSettings
from rig.crash import crash


def event(seq: int, session: str = "s", call_id: str = "c", size: int = 10) -> StoredEvent:
    return StoredEvent(session, seq, f"id-{seq}", call_id, seq, "calling.call.play", 1.0 + seq, "x" * size)


async def on_disk(journal: SqliteJournal, *events: StoredEvent) -> None:
    journal.append(events)
    await journal.sync()


def session(protocol: str = "s") -> StoredSession:
    return StoredSession(
        protocol=protocol,
        project="p",
        token_id="t",
        identity="i",
        version_major=2,
        event_acks=True,
        contexts=["a", "b"],
        seen_at=5.0,
    )


@pytest.fixture
async def journal(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db", WriterSettings(retry_interval_s=0.02))
    await journal.start()
    yield journal
    await journal.close()


def written(directory: Path) -> list[Path]:
    """The files of the tail that hold something."""
    return [path for path in directory.glob("*-tail.*") if path.stat().st_size]


async def test_events_are_kept_in_order_until_they_are_acknowledged(journal):
    for seq in range(1, 6):
        await journal.append([event(seq)])
        if seq % 2 == 0:
            await journal.sync()
    journal.acknowledge("s", [2, 4])
    assert [kept.session_seq for kept in await journal.unacknowledged("s", 0, 10)] == [1, 3, 5]
    assert [kept.session_seq for kept in await journal.unacknowledged("s", 1, 1)] == [3]
    assert await journal.unacknowledged("other", 0, 10) == []


async def test_all_that_is_known_is_recovered_by_the_next_start(tmp_path):
    path = tmp_path / "journal.db"
    first = SqliteJournal(path)
    await first.start()
    first.save_session(session())
    first.save_call(LiveCall("c", "p", "s", 0, {"call_state": "answered"}))
    first.open_control(OpenControl("c", "k1", "calling.play", "s"))
    first.open_control(OpenControl("c", "k2", "calling.record", "s"))
    first.note_control("c", "k1", "playing")
    first.note_control("c", "k2", "recording")
    first.note_control("c", "k2", "paused")
    first.close_control("c", "k1")
    first.append([event(7)])
    first.save_reply(StoredReply("s", "r1", "{}", 3.0))
    first.save_reply(StoredReply("s", "r1", "a second reply", 4.0))
    await first.close()

    second = SqliteJournal(path)
    recovered = await second.start()
    assert [(kept.protocol, kept.session_seq, kept.contexts) for kept in recovered.sessions] == [("s", 7, ["a", "b"])]
    assert recovered.calls == [LiveCall("c", "p", "s", 7, {"call_state": "answered"})]
    assert recovered.controls == [
        OpenControl("c", "k1", "calling.play", "s", is_closed=True),
        OpenControl("c", "k2", "calling.record", "s", state="paused"),
    ]
    assert [reply.reply for reply in await second.replies("s")] == ["{}"]
    assert await second.unacknowledged("s", 0, 10) == [event(7)]
    second.forget_call("c")
    second.forget_session("s")
    await second.close()

    third = SqliteJournal(path)
    recovered = await third.start()
    assert (recovered.sessions, recovered.calls, recovered.controls) == ([], [], [])
    assert await third.replies("s") == []
    await third.close()


async def test_a_killed_process_loses_nothing_that_was_confirmed(tmp_path):
    """kill -9 between confirmations: every confirmed event is there, and nothing else is torn."""
    program = textwrap.dedent(
        """
        import asyncio, pathlib, sys
        from offhook.node.store.journal import _REPLIES, SqliteJournal
        from offhook.node.store.port import StoredEvent

        async def main():
            journal = SqliteJournal(pathlib.Path(sys.argv[1]))
            await journal.start()
            for seq in range(1, 100000):
                kept = StoredEvent("s", seq, str(seq), "c", seq, "calling.call.play", 1.0, "x" * 200)
                await journal.append([kept])
                if seq % 10 == 0:
                    await journal.sync()
                print(seq, flush=True)

        asyncio.run(main())
        """
    )
    path = tmp_path / "journal.db"
    for _ in range(3):
        path.unlink(missing_ok=True)
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert child.stdout is not None
        for _ in range(150):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read()
        child.wait()
        child.stdout.close()
        confirmed = int(rest.split("\n")[-2]) if rest.count("\n") else 150
        journal = SqliteJournal(path)
        await journal.start()
        kept = [found.session_seq for found in await journal.unacknowledged("s", 0, 100000)]
        await journal.close()
        assert kept == list(range(1, len(kept) + 1))
        assert len(kept) >= confirmed
        for leftover in tmp_path.glob("journal.db-*"):
            leftover.unlink()


async def is_well_again(journal: SqliteJournal) -> None:
    async with asyncio.timeout(5):
        while not journal.is_healthy:
            await asyncio.sleep(0.01)


@contextlib.contextmanager
def no_file_grows_beyond(size_bytes: int):
    """The kernel refuses a write beyond that, in part or whole (setrlimit(2), RLIMIT_FSIZE), as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_told_and_what_was_refused_is_written_once_there_is_space(journal, tmp_path):
    await on_disk(journal, event(1))
    size_bytes = max(path.stat().st_size for path in tmp_path.iterdir())
    with no_file_grows_beyond(size_bytes + 50_000):
        with pytest.raises(JournalFailure, match="free space on its disk"):
            await journal.append([event(2, size=1_000_000)])
        assert not journal.is_healthy
        with pytest.raises(JournalFailure):
            await on_disk(journal, event(3))
        with pytest.raises(JournalFailure):
            await journal.unacknowledged("s", 0, 10)
    await is_well_again(journal)
    await journal.append([event(4)])
    assert [kept.session_seq for kept in await journal.unacknowledged("s", 0, 10)] == [1, 2, 3, 4]


async def test_a_database_that_is_full_keeps_all_in_the_tail(tmp_path):
    """SQLite's own page limit: what the tail took is there for the next process, whatever became of the database."""
    journal = SqliteJournal(tmp_path / "journal.db", WriterSettings(retry_interval_s=0.02))
    await journal.start()
    await on_disk(journal, event(1))
    writer = journal._writer
    pages = await writer.read(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    await writer.read(lambda connection: connection.execute(f"PRAGMA max_page_count={pages + 1}").fetchone())
    await on_disk(journal, event(2, size=100_000))
    with pytest.raises(JournalFailure):
        await journal.unacknowledged("s", 0, 10)
    assert not journal.is_healthy
    await crash(journal)
    again = SqliteJournal(tmp_path / "journal.db")
    await again.start()
    assert [kept.session_seq for kept in await again.unacknowledged("s", 0, 10)] == [1, 2]
    await again.close()


async def test_a_sync_that_failed_is_not_tried_again_as_if_it_had_worked(journal, monkeypatch):
    """The kernel may have dropped the pages that it could not write (fsync(2), EIO): they are written anew."""
    await journal.append([event(1)])
    (before,) = written(journal._writer._path.parent)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        with pytest.raises(JournalFailure, match="Input/output error"):
            await on_disk(journal, event(2))
        assert not journal.is_healthy
    await is_well_again(journal)
    await on_disk(journal, event(3))
    assert not before.exists()
    assert [kept.session_seq for kept in await journal.unacknowledged("s", 0, 10)] == [1, 2, 3]


@pytest.mark.parametrize("cut", [1, 5, 60])
async def test_a_torn_end_of_the_tail_is_left_out_and_nothing_behind_it_is_taken(tmp_path, cut):
    """After a power loss: what was synced is there, and no event without those before it."""
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.start()
    for seq in (1, 2, 3):
        await on_disk(journal, event(seq))
    await crash(journal)
    (tail,) = written(tmp_path)
    tail.write_bytes(tail.read_bytes()[:-cut])
    later = tail.with_suffix(f".{int(tail.suffix[1:]) + 1}")
    other = SqliteJournal(tmp_path / "other" / "journal.db")
    await other.start()
    await on_disk(other, event(4))
    await crash(other)
    later.write_bytes(written(tmp_path / "other")[0].read_bytes())
    again = SqliteJournal(tmp_path / "journal.db")
    await again.start()
    assert [kept.session_seq for kept in await again.unacknowledged("s", 0, 10)] == [1, 2]
    assert written(tmp_path) == []
    await again.close()
    assert list(tmp_path.glob("*-tail.*")) == []


async def test_a_tail_that_was_in_the_database_already_changes_nothing(tmp_path):
    """Killed between the commit and the end of the old tail."""
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.start()
    await journal.append([event(1), event(2)])
    journal.acknowledge("s", [1])
    journal.save_call(LiveCall("c", "p", "s", 2, {}))
    await journal.flushed()
    (tail,) = written(tmp_path)
    content = tail.read_bytes()
    assert [kept.session_seq for kept in await journal.unacknowledged("s", 0, 10)] == [2]
    assert not tail.exists()
    journal.acknowledge("s", [2])
    await journal.flushed()
    await crash(journal)
    tail.write_bytes(content)
    again = SqliteJournal(tmp_path / "journal.db")
    recovered = await again.start()
    assert recovered.calls == [LiveCall("c", "p", "s", 2, {})]
    assert await again.unacknowledged("s", 0, 10) == []
    await again.close()


async def test_a_damaged_file_is_refused_with_a_sentence(tmp_path):
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is no database, and never was one" * 100)
    with pytest.raises(JournalFailure, match="move the file"):
        await SqliteJournal(path).start()


def watch(journal: SqliteJournal, method: str) -> list[int]:
    """The number of changes in each record (``append``), or a zero for each sync."""
    tail, seen = journal._writer._tail, []
    inner = getattr(tail, method)

    def watched(*record: bytes) -> None:
        inner(*record)
        seen.append(len(msgspec.msgpack.decode(record[0])) if record else 0)

    setattr(tail, method, watched)
    return seen


async def test_what_is_submitted_in_a_turn_is_one_write_and_one_sync(journal):
    """Group commit: many appends, few writes."""
    records, syncs = watch(journal, "append"), watch(journal, "sync")
    await asyncio.gather(*(on_disk(journal, event(seq)) for seq in range(1, 501)))
    assert records == [500]
    assert len(syncs) == 1


async def test_what_nobody_waits_for_is_in_the_same_record(journal):
    await journal.append([event(1), event(2)])
    records = watch(journal, "append")
    journal.acknowledge("s", [1])
    journal.save_reply(StoredReply("s", "r", "{}", 1.0))
    await journal.append([event(3)])
    assert records == [3]
    journal.acknowledge("s", [2])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert records == [3, 1]


async def test_what_is_not_durable_is_in_the_synced_database_soon(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db", WriterSettings(sync_interval_s=0.01))
    await journal.start()
    await journal.append([event(1)])
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as reader:
        async with asyncio.timeout(5):
            while reader.execute("SELECT session_seq FROM events").fetchall() != [(1,)]:
                await asyncio.sleep(0.005)
    assert await journal._writer.read(lambda own: own.execute("PRAGMA synchronous").fetchone()) == (2,)  # FULL
    await journal.close()


async def test_the_file_is_for_its_owner_alone(tmp_path):
    journal = SqliteJournal(tmp_path / "deep" / "journal.db")
    await journal.start()
    assert (tmp_path / "deep" / "journal.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700
    await journal.close()
    with sqlite3.connect(tmp_path / "deep" / "journal.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_readers_that_come_together_share_a_commit_while_writes_go_on(tmp_path):
    """Each cost one, with its sync: a hundred clients that were back at once waited for a hundred."""
    journal = SqliteJournal(tmp_path / "journal.db", WriterSettings(sync_interval_s=600.0))  # only readers commit
    await journal.start()
    commits, commit, all_wait = [], journal._writer._commit, threading.Event()

    def counted(changes, last) -> None:
        commits.append(len(changes))
        assert all_wait.wait(60)
        commit(changes, last)

    async def write_on() -> None:
        seq = 100
        while True:
            await journal.append([event(seq := seq + 1)])
            await asyncio.sleep(0)

    async def append_and_read(seq: int) -> None:
        await journal.append([event(seq)])
        assert seq in [kept.session_seq for kept in await journal.unacknowledged("s", 0, 50)]

    journal._writer._commit = counted
    writing = asyncio.create_task(write_on())
    reading = [asyncio.create_task(append_and_read(1))]
    async with asyncio.timeout(60):
        while not commits:
            await asyncio.sleep(0)
        reading += [asyncio.create_task(append_and_read(seq)) for seq in range(2, 51)]
        while len(journal._writer._tasks) < 50:
            await asyncio.sleep(0)
    all_wait.set()
    await asyncio.gather(*reading)
    assert len(commits) == 2, "one for the first, which was under way, and one for all who came meanwhile"
    writing.cancel()
    await asyncio.wait([writing])
    await journal.close()


async def test_a_reader_that_goes_leaves_the_tail_whole(journal):
    """A client's socket is cut while the journal is read for it, at the worst moment: as an old file is deleted."""
    tail, is_free = journal._writer._tail, threading.Event()
    begun, drop = [], tail.drop

    def slow_drop(last: int) -> None:
        begun.append(last)
        is_free.wait(10)
        drop(last)

    tail.drop = slow_drop
    await journal.append([event(1)])
    first = asyncio.ensure_future(journal.unacknowledged("s", 0, 10))
    async with asyncio.timeout(10):
        while not begun:
            await asyncio.sleep(0.001)
    first.cancel()
    await asyncio.wait([first])
    await journal.append([event(2)])
    second = asyncio.ensure_future(journal.unacknowledged("s", 0, 10))
    await asyncio.sleep(0.05)
    is_free.set()
    assert [kept.session_seq for kept in await second] == [1, 2]
    async with asyncio.timeout(10):
        await on_disk(journal, event(3))
    assert journal.is_healthy


async def test_no_write_waits_for_a_sync_and_all_are_told_in_their_order(journal):
    """A disk that takes 200 ms for a sync held up all calls: an INVITE was answered after 400 ms."""
    told, is_free = [], threading.Event()
    tail = journal._writer._tail
    sync, append = tail.sync, tail.append

    def slow_sync() -> None:
        is_free.wait(10)
        sync()

    def refuse(_: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def note(done: asyncio.Future[None], name: str) -> asyncio.Future[None]:
        done.add_done_callback(lambda _: told.append(name))
        return done

    tail.sync = slow_sync
    note(journal.append([event(1)]), "first")
    synced = note(journal.sync(), "synced")
    note(journal.append([event(2)]), "second")
    await asyncio.sleep(0.01)
    tail.append = refuse
    failed = note(journal.append([event(3)]), "failed")
    refused = note(journal.sync(), "refused")
    await asyncio.sleep(0.01)
    assert told == ["first", "second", "failed", "refused"]
    tail.append = append
    is_free.set()
    async with asyncio.timeout(10):
        await asyncio.wait([synced])
    assert synced.exception() is None
    for done in (failed, refused):
        assert isinstance(done.exception(), JournalFailure)
    await is_well_again(journal)


async def test_what_is_flushed_was_synced_where_somebody_waits_for_that(journal):
    is_free = threading.Event()
    tail = journal._writer._tail
    sync = tail.sync

    def slow_sync() -> None:
        is_free.wait(10)
        sync()

    tail.sync = slow_sync
    await journal.append([event(1)])
    async with asyncio.timeout(10):
        await journal.flushed()
    synced = journal.sync()
    flushed = [asyncio.ensure_future(journal.flushed())]
    await asyncio.sleep(0.01)
    flushed.append(asyncio.ensure_future(journal.flushed()))
    await asyncio.sleep(0.01)
    assert not any(one.done() for one in flushed)
    is_free.set()
    async with asyncio.timeout(10):
        await asyncio.wait(flushed)
    assert synced.done()


async def test_a_file_that_could_not_be_deleted_is_not_done_again(tmp_path, monkeypatch):
    """What was acknowledged since would come back."""
    journal = SqliteJournal(tmp_path / "journal.db", WriterSettings(retry_interval_s=0.02))
    await journal.start()
    await on_disk(journal, event(1))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.unlink", refuse)
        with pytest.raises(JournalFailure):
            await journal.unacknowledged("s", 0, 10)
    await is_well_again(journal)
    journal.acknowledge("s", [1])
    assert await journal.unacknowledged("s", 0, 10) == []
    assert (tmp_path / "journal.db-tail.1").exists(), "the old one stayed"
    (tmp_path / "journal.db-tail.1.bak").write_bytes(b"somebody's copy")
    await crash(journal)
    again = SqliteJournal(tmp_path / "journal.db")
    await again.start()
    assert await again.unacknowledged("s", 0, 10) == []
    await again.close()


async def test_nothing_is_durable_behind_a_sync_that_failed(journal, monkeypatch):
    """The kernel tells a lost page once, and takes the next sync for good (fsync(2))."""
    is_free, syncs = threading.Event(), []

    def fail_once(_: int) -> None:
        syncs.append(None)
        is_free.wait(10)
        if len(syncs) == 1:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail_once)
    journal.append([event(1)])
    first = journal.sync()
    await asyncio.sleep(0.01)
    journal.append([event(2)])
    second = journal.sync()
    await asyncio.sleep(0.01)
    is_free.set()
    async with asyncio.timeout(10):
        await asyncio.wait([first, second])
    assert isinstance(first.exception(), JournalFailure)
    assert isinstance(second.exception(), JournalFailure)
    await is_well_again(journal)
    await on_disk(journal, event(3))
    assert [kept.session_seq for kept in await journal.unacknowledged("s", 0, 10)] == [1, 2, 3]


async def test_who_asks_for_the_impossible_is_told_and_takes_nobody_along(journal):
    fine = journal.append([event(1)])
    with pytest.raises(OverflowError):
        journal.append([event(1 << 70)])
    async with asyncio.timeout(10):
        await fine
    assert [kept.session_seq for kept in await journal.unacknowledged("s", 0, 10)] == [1]


async def test_a_backlog_that_overflows_loses_the_oldest_that_was_refused_and_nothing_confirmed(tmp_path):
    settings = WriterSettings(retry_interval_s=0.02, backlog_max_bytes=5000)
    journal = SqliteJournal(tmp_path / "journal.db", settings)
    await journal.start()
    await on_disk(journal, event(1))
    tail, writer = journal._writer._tail, journal._writer
    append, commit = tail.append, writer._commit

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    tail.append = writer._commit = refuse
    for seq in range(2, 12, 2):  # two in a turn
        with pytest.raises(JournalFailure):
            await journal.append([event(seq, size=1000), event(seq + 1, size=1000)])
    tail.append, writer._commit = append, commit
    await is_well_again(journal)
    kept = [found.session_seq for found in await journal.unacknowledged("s", 0, 100)]
    assert kept[0] == 1, "it was confirmed"
    assert kept[1:] == list(range(kept[1], 12))
    assert writer.writes_lost == kept[1] - 2 > 0
    await journal.close()
    await journal.close()


async def test_the_replies_of_a_session_are_found_without_reading_those_of_all(tmp_path):
    """A thousand clients that resumed after a restart read the replies of a thousand clients each."""
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.start()
    plan = await journal._writer.read(
        lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {_REPLIES}", ("s",)).fetchall()
    )
    steps = [str(row[3]) for row in plan]
    assert any("SEARCH replies" in step for step in steps), steps
    assert not any("SCAN replies" in step for step in steps), steps
    await journal.close()


async def test_what_was_acknowledged_is_nowhere_on_the_disk_any_more(tmp_path):
    """The digits of a collect stood in freed pages and in the write-ahead log."""
    digits = "4111-1111-1111-1111"
    settings = WriterSettings(sync_interval_s=0.02, checkpoint_interval_s=0.05)
    journal = SqliteJournal(tmp_path / "journal.db", settings)
    await journal.start()

    def is_there() -> bool:
        return any(digits.encode() in path.read_bytes() for path in tmp_path.iterdir())

    for seq in range(1, 200):
        kept = msgspec.structs.replace(event(seq), frame=digits if seq == 100 else "y" * 300)
        await on_disk(journal, kept)
    await journal.unacknowledged("s", 0, 1)  # all is in the database
    assert is_there()
    journal.acknowledge("s", [100])
    async with asyncio.timeout(30):
        while is_there():
            journal.save_session(session())  # a journal is written to now and then
            await asyncio.sleep(0.05)
    assert len(await journal.unacknowledged("s", 0, 1000)) == 198
    await journal.close()


async def test_a_commit_that_hangs_costs_a_bound_of_memory_and_is_told(tmp_path, monkeypatch):
    """Without an end memory and tail grew as long as the disk took neither yes nor no."""
    settings = WriterSettings(retry_interval_s=0.02, sync_interval_s=0.02, backlog_max_bytes=50_000)
    journal = SqliteJournal(tmp_path / "journal.db", settings)
    await journal.start()
    writer = journal._writer
    goes_on, commit = threading.Event(), writer._commit

    def hangs(*given) -> None:
        goes_on.wait(30)
        commit(*given)

    monkeypatch.setattr(writer, "_commit", hangs)
    try:
        for seq in range(1, 401):
            done = journal.append([event(seq, size=1000)])
            await asyncio.wait([done])
            if seq == 20:
                await asyncio.sleep(0.1)  # a commit begins, and hangs
        assert not journal.is_healthy
        assert writer.backlog_bytes <= 2 * settings.backlog_max_bytes
        assert sum(path.stat().st_size for path in tmp_path.glob("*-tail.*")) <= 2 * settings.backlog_max_bytes
        assert writer.writes_lost > 0
    finally:
        goes_on.set()
    async with asyncio.timeout(30):
        while not journal.is_healthy:
            await asyncio.sleep(0.02)
    kept = [one.session_seq for one in await journal.unacknowledged("s", 0, 1000)]
    assert kept[:20] == list(range(1, 21))
    assert kept[-1] == 400
    assert len(kept) + writer.writes_lost == 400
    await journal.close()
