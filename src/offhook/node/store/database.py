"""The SQLite file of the journal, which nobody else writes. All of it is called in one thread."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from offhook.node.store.changes import SCHEMA, STATEMENTS, Change

__all__ = ["Database"]

log = structlog.get_logger(__name__)


class Database:
    """``connection`` is None before ``open`` and after ``close``."""

    def __init__(self, path: Path, checkpoint_interval_s: float) -> None:
        self._path = path
        self._checkpoint_interval_s = checkpoint_interval_s
        self._checkpointed_at = 0.0
        self.connection: sqlite3.Connection | None = None

    def open(self) -> int:
        """Open or make the file; the number of the last file of the tail that is in it whole.

        Raises:
            OSError: it cannot be made.
            sqlite3.Error: it is no journal, or cannot be written.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        self.connection = connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA busy_timeout=2000")
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA secure_delete=ON")  # digits that were told are not to be found in freed pages
        self._checkpointed_at = time.monotonic()
        connection.executescript(SCHEMA)
        return int(connection.execute("SELECT coalesce(max(tail), 0) FROM applied").fetchone()[0])

    def commit(self, changes: Sequence[Change], last: int) -> None:
        """Make all of the changes or none, synced. ``last``: the newest file of the tail that holds some of them.

        Raises:
            sqlite3.Error: the disk does not take them.
        """
        connection = self.connection
        if connection is None:
            raise sqlite3.OperationalError("the journal is not open")
        connection.execute("BEGIN IMMEDIATE")
        try:
            for name, row in changes:
                connection.execute(STATEMENTS[name], row)
            connection.execute("INSERT OR REPLACE INTO applied VALUES (1, ?)", (last,))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._checkpoint(connection)

    def close(self) -> None:
        """A second time changes nothing."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        """Now and then begin the write-ahead log anew, so that nothing deleted stands in it for long."""
        if time.monotonic() - self._checkpointed_at < self._checkpoint_interval_s:
            return
        self._checkpointed_at = time.monotonic()
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:  # all is in the log, which the next one tries again
            log.warning("the write-ahead log is not begun anew", error=str(error))
