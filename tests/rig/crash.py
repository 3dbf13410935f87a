"""A journal whose process is gone, inside a process that goes on."""

from __future__ import annotations

from offhook.node.store.journal import SqliteJournal

__all__ = ["crash"]


async def crash(journal: SqliteJournal) -> None:
    """From now on nothing is written any more; what was, stays as it is."""
    writer = journal._writer
    writer._is_closed = True
    writer._stop_timers()
    for task in list(writer._tasks):
        task.cancel()
    await writer._in_database(writer._close_database)
    writer._tail.close(keeps_files=True)
    writer._shut_threads()
