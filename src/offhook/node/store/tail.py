"""The newest changes, in append-only files beside the database: written in the turn of the loop that made them."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import structlog

__all__ = ["Tail"]

_HEAD: Final = struct.Struct("<II")
"""Before each record: its length in bytes and its CRC-32 (little-endian)."""

log = structlog.get_logger(__name__)


class _File(NamedTuple):
    number: int
    path: Path
    descriptor: int


class Tail:
    """Numbered files of records, the last of which is written to.

    ``append`` and ``rotate`` are called in the loop's thread and touch no directory; ``prepare``, ``sync`` and ``drop``
    in one other thread; ``recover`` before both, ``close`` after them. What ``append`` returned from survives the death
    of this process, what ``sync`` returned from that of the machine: it syncs the files in their order, so that no
    record is ever on the disk without those before it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: list[_File] = []
        self._number = 0
        self._size = 0
        self._entry_synced = 0
        self._directory = -1
        self._next: _File | None = None
        self._made = 0

    @property
    def number(self) -> int:
        """Of the file that is written to."""
        return self._number

    def recover(self, applied: int) -> Iterator[bytes]:
        """The records that were left in files after ``applied``, in order, up to the first that is torn.

        Raises:
            OSError: a file cannot be read.
        """
        left = self._left()
        self._number = max([applied, *(number for number, _ in left)])
        for number, path in left:
            if number <= applied:
                continue
            content = path.read_bytes()
            at = 0
            while at < len(content):
                record = _read(content, at)
                if record is None:
                    log.warning("the end of the journal is torn", file=path.name, size_bytes=len(content) - at)
                    return
                yield record
                at += _HEAD.size + len(record)

    def forget(self) -> None:
        """Delete what ``recover`` found.

        Raises:
            OSError: a file cannot be deleted.
        """
        for _, path in self._left():
            path.unlink()

    def _left(self) -> list[tuple[int, Path]]:
        found = self._path.parent.glob(f"{self._path.name}-tail.*")
        return sorted((int(path.suffix[1:]), path) for path in found if path.suffix[1:].isdecimal())

    @property
    def is_ready(self) -> bool:
        """There is a file to turn to."""
        return self._next is not None

    def prepare(self) -> None:
        """Make the file that the next ``rotate`` takes, if there is none: that waits for the disk.

        It is made as soon as one is closed, so that a process that has no descriptor left has this one.

        Raises:
            OSError: it cannot be made.
        """
        if self._next is not None:
            return
        if self._directory < 0:
            self._directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        number = self._number + 1
        path = self._path.with_name(f"{self._path.name}-tail.{number}")
        self._next = _File(number, path, _create(path))
        self._made = number

    def rotate(self) -> int:
        """Go on in the file that was prepared, and return the number of the one before it, for ``drop``.

        Raises:
            OSError: none was.
        """
        file, self._next = self._next, None
        if file is None:
            raise OSError("the tail has no file to turn to")
        self._number = file.number
        self._files.append(file)
        self._size = 0
        return file.number - 1

    def append(self, record: bytes) -> None:
        """Write one record whole.

        Raises:
            OSError: the disk does not take it, and holds nothing of it.
        """
        if not self._files:
            raise OSError("the tail has no file")
        descriptor = self._files[-1].descriptor
        data = _HEAD.pack(len(record), zlib.crc32(record)) + record
        written = os.write(descriptor, data)
        if written < len(data):
            os.ftruncate(descriptor, self._size)
            raise OSError(errno.ENOSPC, "it took only a part")
        self._size += written

    def sync(self) -> None:
        """Wait until all that was appended is on the disk.

        Raises:
            OSError: it may not be; what was written since the last sync is to be kept in another way.
        """
        made = self._made
        for file in list(self._files):
            os.fdatasync(file.descriptor)
        if self._number <= self._entry_synced:
            return
        os.fsync(self._directory)  # a file that is not in its directory is not on the disk (fsync(2))
        self._entry_synced = made

    def drop(self, last: int) -> None:
        """Close and delete the files up to this number: what they hold is in the database.

        Raises:
            OSError: one cannot be deleted.
        """
        while self._files and self._files[0].number <= last:
            file = self._files.pop(0)
            os.close(file.descriptor)
            file.path.unlink()

    def close(self, *, keeps_files: bool) -> None:
        """Nothing more is written; the files stay when the database does not have all of them."""
        unused = [] if self._next is None else [self._next]
        for file in (*self._files, *unused):
            os.close(file.descriptor)
            if not keeps_files:
                with contextlib.suppress(OSError):  # the database has it, and knows that
                    file.path.unlink()
        self._files.clear()
        self._next = None
        if self._directory >= 0:
            os.close(self._directory)
        self._directory = -1


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _read(content: bytes, at: int) -> bytes | None:
    """The record at an offset; None when it is not whole."""
    with contextlib.suppress(struct.error):
        length, checksum = _HEAD.unpack_from(content, at)
        record = content[at + _HEAD.size : at + _HEAD.size + length]
        if len(record) == length and zlib.crc32(record) == checksum:
            return record
    return None
