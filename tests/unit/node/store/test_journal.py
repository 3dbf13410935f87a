"""node/store: what is written is there after a crash, in order; a disk that refuses is told, and tried again."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from offhook.node.store.journal import SqliteJournal
from offhook.node.store.port import JournalFailure, LiveCall, OpenControl, StoredEvent, StoredReply, StoredSession
from offhook.node.store.writer import WriterSettings


def event(seq: int, session: str = "s", call_id: str = "c", size: int = 10) -> StoredEvent:
    return StoredEvent(session, seq, f"id-{seq}", call_id, seq, "calling.call.play", 1.0 + seq, "x" * size)


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


async def test_events_are_kept_in_order_until_they_are_acknowledged(journal):
    for seq in range(1, 6):
        await journal.append([event(seq)], durable=seq % 2 == 0)
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
    first.close_control("c", "k1")
    first.append([event(7)], durable=True)
    first.save_reply(StoredReply("s", "r1", "{}", 3.0))
    first.save_reply(StoredReply("s", "r1", "a second reply", 4.0))
    first.save_engine_seq("boot", 41)
    await first.close()

    second = SqliteJournal(path)
    recovered = await second.start()
    assert [(kept.protocol, kept.session_seq, kept.contexts) for kept in recovered.sessions] == [("s", 7, ["a", "b"])]
    assert recovered.calls == [LiveCall("c", "p", "s", 7, {"call_state": "answered"})]
    assert recovered.controls == [
        OpenControl("c", "k1", "calling.play", "s", is_closed=True),
        OpenControl("c", "k2", "calling.record", "s"),
    ]
    assert (recovered.engine_boot, recovered.engine_seq) == ("boot", 41)
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
        from offhook.node.store.journal import SqliteJournal
        from offhook.node.store.port import StoredEvent

        async def main():
            journal = SqliteJournal(pathlib.Path(sys.argv[1]))
            await journal.start()
            for seq in range(1, 100000):
                kept = StoredEvent("s", seq, str(seq), "c", seq, "calling.call.play", 1.0, "x" * 200)
                await journal.append([kept], durable=seq % 10 == 0)
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


async def test_a_full_disk_is_told_and_what_was_refused_is_written_once_there_is_space(journal):
    """SQLite's own page limit stands for the full disk: the same error (SQLITE_FULL) on the same statement."""
    writer = journal._writer
    await journal.append([event(1)], durable=True)
    pages = await writer.read(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    await writer.read(lambda connection: connection.execute(f"PRAGMA max_page_count={pages + 1}").fetchone())
    with pytest.raises(JournalFailure, match="free some space"):
        await journal.append([event(2, size=100_000)], durable=False)
    assert not journal.is_healthy
    with pytest.raises(JournalFailure):
        await journal.append([event(3)], durable=True)
    with pytest.raises(JournalFailure):
        await journal.unacknowledged("s", 0, 10)
    connection = writer._connection
    await writer._run(lambda: connection.execute("PRAGMA max_page_count=1000000").fetchone())
    async with asyncio.timeout(5):
        while not journal.is_healthy:
            await asyncio.sleep(0.01)
    await journal.append([event(4)], durable=False)
    assert [kept.session_seq for kept in await journal.unacknowledged("s", 0, 10)] == [1, 2, 3, 4]


async def test_a_damaged_file_is_refused_with_a_sentence(tmp_path):
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is no database, and never was one" * 100)
    with pytest.raises(JournalFailure, match="move the file away"):
        await SqliteJournal(path).start()


async def test_what_is_submitted_together_is_committed_together(journal):
    """Group commit: many appends, few transactions."""
    writer = journal._writer
    commits = []
    inner = writer._commit
    writer._commit = lambda batch, durable: (commits.append(len(batch)), inner(batch, durable=durable))[1]
    await asyncio.gather(*(journal.append([event(seq)], durable=True) for seq in range(1, 501)))
    assert sum(commits) >= 500
    assert len(commits) <= 5


async def test_what_nobody_waits_for_goes_along_with_the_next_commit_or_leaves_soon(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db", WriterSettings(gather_s=0.01))
    await journal.start()
    await journal.append([event(1), event(2)], durable=False)
    commits: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    inner = journal._writer._commit

    def commit(batch, durable):
        inner(batch, durable=durable)
        loop.call_soon_threadsafe(commits.put_nowait, sum(len(write.statements) for write in batch))

    journal._writer._commit = commit
    journal.acknowledge("s", [1])
    journal.save_reply(StoredReply("s", "r", "{}", 1.0))
    await journal.append([event(3)], durable=False)
    assert await commits.get() == 3
    journal.acknowledge("s", [2])
    assert await asyncio.wait_for(commits.get(), 5) == 1
    await journal.close()


async def test_what_is_not_durable_is_synced_soon(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db", WriterSettings(sync_interval_s=0.01))
    await journal.start()
    synced = asyncio.Event()
    inner = journal._writer._commit

    def commit(batch, durable):
        if durable:
            loop.call_soon_threadsafe(synced.set)
        inner(batch, durable=durable)

    loop = asyncio.get_running_loop()
    journal._writer._commit = commit
    await journal.append([event(1)], durable=False)
    assert not synced.is_set()
    await asyncio.wait_for(synced.wait(), 5)
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
