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

    ``append`` and ``turn`` are called in the loop's thread, ``sync`` and ``drop`` in one other thread; ``recover``
    before both. What ``append`` returned from survives the death of this process, what ``sync`` returned from that of
    the machine: it syncs the files in their order, so that no record is ever on the disk without those before it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: list[_File] = []
        self._number = 0
        self._size = 0
        self._entry_synced = 0
        self._directory = -1
        self._spare = -1

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

    def turn(self) -> int:
        """Begin a new file, and return the number of the one before it, for ``drop``.

        Raises:
            OSError: it cannot be made.
        """
        path = self._path.with_name(f"{self._path.name}-tail.{self._number + 1}")
        if self._directory < 0:
            self._directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            descriptor = _create(path)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE) or self._spare < 0:
                raise
            os.close(self._spare)
            self._spare = -1
            descriptor = _create(path)
        self._hold_spare()
        self._number += 1
        self._files.append(_File(self._number, path, descriptor))
        self._size = 0
        return self._number - 1

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
        number = self._number
        for file in list(self._files):
            os.fdatasync(file.descriptor)
        if number == self._entry_synced:
            return
        os.fsync(self._directory)  # a file that is not in its directory is not on the disk (fsync(2))
        self._entry_synced = number

    def drop(self, last: int) -> None:
        """Close and delete the files up to this number: what they hold is in the database.

        Raises:
            OSError: one cannot be deleted.
        """
        while self._files and self._files[0].number <= last:
            file = self._files.pop(0)
            os.close(file.descriptor)
            file.path.unlink()
        self._hold_spare()

    def _hold_spare(self) -> None:
        """Hold a descriptor back for the next file: a process that has none left can turn to it all the same."""
        if self._spare < 0:
            with contextlib.suppress(OSError):  # there is none now: tried again at the next turn
                self._spare = os.dup(self._directory)

    def close(self, *, keeps_files: bool) -> None:
        """Nothing more is written; the files stay when the database does not have all of them."""
        for file in self._files:
            os.close(file.descriptor)
            if not keeps_files:
                with contextlib.suppress(OSError):  # the database has it, and knows that
                    file.path.unlink()
        self._files.clear()
        for descriptor in (self._directory, self._spare):
            if descriptor >= 0:
                os.close(descriptor)
        self._directory = self._spare = -1


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
