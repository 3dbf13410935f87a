"""node/store/tail.py: what it asks of the disk, and in whose thread."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

import pytest

from offhook.node.store.journal import SqliteJournal
from offhook.node.store.port import StoredEvent
from offhook.node.store.tail import Tail
from offhook.node.store.writer import WriterSettings

_ON_FILES = {"open", "os.remove", "os.mkdir", "os.truncate"}


def event(seq: int) -> StoredEvent:
    return StoredEvent("s", seq, f"id-{seq}", "c", seq, "calling.call.play", 1.0 + seq, "x")


class Audit:
    """What the loop's thread asked of files in a directory, by Python's audit hooks (which see ``os`` and ``io``)."""

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)
        self._thread = threading.get_ident()
        self._is_on = False
        self.seen: list[str] = []
        sys.addaudithook(self._see)

    def _see(self, name: str, arguments: tuple) -> None:
        is_ours = self._is_on and name in _ON_FILES and threading.get_ident() == self._thread
        if is_ours and str(arguments[0]).startswith(self._directory):
            self.seen.append(name)

    def __enter__(self) -> Audit:
        self._is_on = True
        return self

    def __exit__(self, *_) -> None:
        self._is_on = False


async def test_the_loop_opens_and_deletes_no_file_of_the_journal(tmp_path):
    """Making a file waits for the disk: with a busy one, each second all calls of the node did."""
    journal = SqliteJournal(tmp_path / "journal.db", WriterSettings(sync_interval_s=0.01))
    with Audit(tmp_path) as audit:
        await journal.start()
        for seq in range(1, 6):
            journal.append([event(seq)])
            await journal.sync()
            assert len(await journal.unacknowledged("s", 0, 10)) == seq
        await journal.close()
    assert audit.seen == []


def descriptors(directory: Path) -> list[str]:
    return [link for one in Path("/proc/self/fd").iterdir() if (link := _target(one)).startswith(str(directory))]


def _target(path: Path) -> str:
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return ""


async def test_a_journal_holds_a_bounded_number_of_descriptors_and_leaves_none(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db", WriterSettings(sync_interval_s=0.001))
    await journal.start()
    most = 0
    for seq in range(1, 200):
        await journal.append([event(seq)])
        if seq % 3 == 0:
            await journal.sync()
        if seq % 5 == 0:
            await journal.unacknowledged("s", 0, 1)
            most = max(most, len([link for link in descriptors(tmp_path) if "-tail." in link]))
    assert most <= 4
    await journal.close()
    assert descriptors(tmp_path) == []


def test_a_tail_turns_to_a_file_that_was_made_before(tmp_path):
    tail = Tail(tmp_path / "journal.db")
    tail.prepare()
    assert tail.rotate() == 0
    tail.append(b"one")
    with pytest.raises(OSError, match="no file to turn to"):
        tail.rotate()
    tail.append(b"two")
    tail.prepare()
    tail.prepare()
    assert tail.rotate() == 1
    tail.append(b"three")
    tail.sync()
    tail.drop(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.db-tail.2"]
    tail.close(keeps_files=True)
    assert list(Tail(tmp_path / "journal.db").recover(0)) == [b"three"]
    assert descriptors(tmp_path) == []


def test_a_tail_that_was_made_and_never_used_is_no_harm(tmp_path):
    tail = Tail(tmp_path / "journal.db")
    for _ in range(2):
        tail.prepare()
        tail.rotate()
        tail.prepare()
    tail.append(b"one")
    left = Tail(tmp_path / "journal.db")
    assert list(left.recover(0)) == [b"one"]
    left.forget()
    left.prepare()
    assert left.rotate() == 3
    left.append(b"two")
    assert list(Tail(tmp_path / "journal.db").recover(0)) == [b"two"]
    for one in (tail, left):
        one.close(keeps_files=False)
    assert list(tmp_path.iterdir()) == []


def test_the_directory_is_synced_before_a_record_of_a_new_file_is_called_safe(tmp_path, monkeypatch):
    synced: list[str] = []
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.append(_target(Path(f"/proc/self/fd/{descriptor}"))))
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(_target(Path(f"/proc/self/fd/{descriptor}"))))
    tail = Tail(tmp_path / "journal.db")
    tail.prepare()
    tail.rotate()
    tail.prepare()
    tail.append(b"one")
    tail.sync()
    assert synced == [str(tmp_path / "journal.db-tail.1"), str(tmp_path)]
    tail.sync()
    assert synced[2:] == [str(tmp_path / "journal.db-tail.1")]
    tail.rotate()
    tail.append(b"two")
    tail.sync()
    assert synced[3:] == [str(tmp_path / f"journal.db-tail.{number}") for number in (1, 2)]
    tail.close(keeps_files=False)


def test_a_file_that_cannot_be_made_leaves_the_tail_as_it_was(tmp_path, monkeypatch):
    tail = Tail(tmp_path / "journal.db")
    tail.prepare()
    tail.rotate()

    def refuse(_path):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("offhook.node.store.tail._create", refuse)
        with pytest.raises(OSError, match="No space"):
            tail.prepare()
    tail.append(b"one")
    tail.prepare()
    assert tail.rotate() == 1
    tail.close(keeps_files=False)
