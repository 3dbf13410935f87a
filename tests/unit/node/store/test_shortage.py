"""node/store without descriptors: the journal goes on, and what cannot is told by its own name."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import sqlite3
from pathlib import Path

import pytest

from offhook.node.store import tail
from offhook.node.store.journal import SqliteJournal
from offhook.node.store.port import JournalFailure, StoredEvent
from offhook.node.store.remedy import remedy_of
from offhook.node.store.writer import WriterSettings


def event(seq: int) -> StoredEvent:
    return StoredEvent("s", seq, f"id-{seq}", "c", seq, "calling.call.play", 1.0 + seq, "x")


@contextlib.contextmanager
def no_descriptor_left():
    """Every one up to the limit is taken, as strangers' sockets would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 4, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_process_without_a_descriptor_left_goes_on_writing_and_turning_its_journal(tmp_path):
    """An INVITE was refused 503 "free space" because strangers held the descriptors that the journal turned with."""
    journal = SqliteJournal(tmp_path / "journal.db", WriterSettings(retry_interval_s=0.02))
    await journal.start()
    journal.append([event(1)])
    await journal.sync()
    await journal.unacknowledged("s", 0, 10)
    with no_descriptor_left():
        for seq in range(2, 6):
            journal.append([event(seq)])
            await journal.sync()
            assert len(await journal.unacknowledged("s", 0, 10)) == seq
            assert journal.is_healthy
    await journal.close()


async def test_a_want_of_descriptors_is_not_called_a_full_disk(tmp_path, monkeypatch):
    journal = SqliteJournal(tmp_path / "journal.db", WriterSettings(retry_interval_s=0.02))
    await journal.start()

    def refuse(_path):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(tail, "_create", refuse)
        await journal.append([event(1)])
        assert len(await journal.unacknowledged("s", 0, 10)) == 1  # it had made its next file before
        await journal.append([event(2)])
        with pytest.raises(JournalFailure, match="no file descriptor left: raise its limit"):
            await journal.unacknowledged("s", 0, 10)
        assert "LimitNOFILE" in journal.remedy
        assert "space" not in journal.remedy
    async with asyncio.timeout(30):
        while not journal.is_healthy:
            await asyncio.sleep(0.01)
    assert len(await journal.unacknowledged("s", 0, 10)) == 2
    await journal.close()


def sqlite_error(name: str) -> sqlite3.Error:
    error = sqlite3.OperationalError(name)
    error.sqlite_errorcode = getattr(sqlite3, name)
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x"), "free space"),
        (OSError(errno.EDQUOT, "x"), "free space"),
        (OSError(errno.EMFILE, "x"), "file descriptor"),
        (OSError(errno.ENFILE, "x"), "file descriptor"),
        (OSError(errno.EROFS, "x"), "writable"),
        (OSError(errno.EACCES, "x"), "writable"),
        (OSError(errno.EIO, "x"), "disk fails"),
        (OSError(errno.EXDEV, "Invalid link"), "Invalid link"),
        (OSError("it took only a part"), "took only a part"),
        (sqlite_error("SQLITE_FULL"), "free space"),
        (sqlite_error("SQLITE_READONLY_DIRECTORY"), "writable"),
        (sqlite_error("SQLITE_IOERR_WRITE"), "disk fails"),
        (sqlite_error("SQLITE_CANTOPEN"), "look after its disk"),
        (sqlite3.OperationalError("odd"), "odd"),
    ],
)
def test_each_failure_has_its_own_remedy(error, words):
    assert words in remedy_of(error)
