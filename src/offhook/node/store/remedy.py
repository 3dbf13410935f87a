"""What to do when the journal cannot write, by what the machine said."""

from __future__ import annotations

import errno
import sqlite3
from types import MappingProxyType
from typing import Final

__all__ = ["remedy_of"]

_SPACE: Final = "free space on its disk"
_DESCRIPTORS: Final = "the node has no file descriptor left: raise its limit (LimitNOFILE, ulimit -n)"
_RIGHTS: Final = "make its directory and files writable for the node"
_DEVICE: Final = "its disk fails: replace it, or move state_dir to another"

_OF_SYSTEM: Final = MappingProxyType(
    {
        errno.ENOSPC: _SPACE,
        errno.EDQUOT: _SPACE,
        errno.EFBIG: _SPACE,
        errno.EMFILE: _DESCRIPTORS,
        errno.ENFILE: _DESCRIPTORS,
        errno.EACCES: _RIGHTS,
        errno.EPERM: _RIGHTS,
        errno.EROFS: _RIGHTS,
        errno.EIO: _DEVICE,
    }
)
_OF_SQLITE: Final = MappingProxyType(
    {
        sqlite3.SQLITE_FULL: _SPACE,
        sqlite3.SQLITE_READONLY: _RIGHTS,
        sqlite3.SQLITE_PERM: _RIGHTS,
        sqlite3.SQLITE_AUTH: _RIGHTS,
        sqlite3.SQLITE_IOERR: _DEVICE,
        sqlite3.SQLITE_CORRUPT: _DEVICE,
    }
)
_PRIMARY: Final = 0xFF
"""The low byte of SQLite's extended codes (sqlite.org/rescode.html)."""


def remedy_of(error: BaseException) -> str:
    """The end of a sentence that began with what failed."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return _OF_SQLITE.get((code or 0) & _PRIMARY, f"look after its disk ({error})")
    if isinstance(error, OSError) and error.errno is not None:
        return _OF_SYSTEM.get(error.errno, f"look after its disk ({error.strerror})")
    return f"look after its disk ({error})"
