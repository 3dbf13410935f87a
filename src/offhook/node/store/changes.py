"""What can change in the journal: each change by name, its SQL, and what is left of many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

__all__ = ["SCHEMA", "STATEMENTS", "Change", "fold"]

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sessions (
    protocol TEXT PRIMARY KEY, project TEXT NOT NULL, token_id TEXT NOT NULL, identity TEXT NOT NULL,
    version_major INTEGER NOT NULL, event_acks INTEGER NOT NULL, contexts TEXT NOT NULL, seen_at REAL NOT NULL,
    session_seq INTEGER NOT NULL, truncated_from INTEGER NOT NULL, truncated_to INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    session TEXT NOT NULL, session_seq INTEGER NOT NULL, id TEXT NOT NULL, call_id TEXT NOT NULL, seq INTEGER NOT NULL,
    event_type TEXT NOT NULL, at REAL NOT NULL, frame TEXT NOT NULL, PRIMARY KEY (session, session_seq));
CREATE TABLE IF NOT EXISTS replies (
    at REAL NOT NULL, session TEXT NOT NULL, request_id TEXT NOT NULL, reply TEXT NOT NULL,
    PRIMARY KEY (at, session, request_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS replies_of_session ON replies (session, request_id);
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY, project TEXT NOT NULL, session TEXT NOT NULL, seq INTEGER NOT NULL, state TEXT NOT NULL,
    asked TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS controls (
    call_id TEXT NOT NULL, control_id TEXT NOT NULL, method TEXT NOT NULL, session TEXT NOT NULL,
    is_closed INTEGER NOT NULL, PRIMARY KEY (call_id, control_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told (
    call_id TEXT NOT NULL, control_id TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (call_id, control_id))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS applied (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), tail INTEGER NOT NULL);
PRAGMA user_version = 1;
"""

STATEMENTS: Final = {
    "event": "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "ack": "DELETE FROM events WHERE session = ? AND session_seq = ?",
    "session_seq": "UPDATE sessions SET session_seq = max(session_seq, ?2) WHERE protocol = ?1",
    "call_seq": "UPDATE calls SET seq = max(seq, ?2) WHERE call_id = ?1",
    "session": """
        INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (protocol) DO UPDATE SET
            version_major = excluded.version_major, event_acks = excluded.event_acks, contexts = excluded.contexts,
            identity = excluded.identity, seen_at = excluded.seen_at,
            session_seq = max(session_seq, excluded.session_seq),
            truncated_from = excluded.truncated_from, truncated_to = excluded.truncated_to
        """,
    "forget_session": "DELETE FROM sessions WHERE protocol = ?",
    "forget_events": "DELETE FROM events WHERE session = ?",
    "forget_replies": "DELETE FROM replies WHERE session = ?",
    "reply": "INSERT OR IGNORE INTO replies (session, request_id, reply, at) VALUES (?, ?, ?, ?)",
    "forget_reply": "DELETE FROM replies WHERE at = ? AND session = ? AND request_id = ?",
    "forget_old_replies": "DELETE FROM replies WHERE at < ?",
    "call": """
        INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (call_id) DO UPDATE SET
            project = excluded.project, session = excluded.session, seq = max(seq, excluded.seq),
            state = excluded.state, asked = excluded.asked
        """,
    "forget_call": "DELETE FROM calls WHERE call_id = ?",
    "control": "INSERT OR REPLACE INTO controls VALUES (?, ?, ?, ?, ?)",
    "close_control": "UPDATE controls SET is_closed = 1 WHERE call_id = ? AND control_id = ?",
    "forget_control": "DELETE FROM controls WHERE call_id = ? AND control_id = ?",
    "forget_controls": "DELETE FROM controls WHERE call_id = ?",
    "told": "INSERT OR REPLACE INTO told VALUES (?, ?, ?)",
    "untold": "DELETE FROM told WHERE call_id = ? AND control_id = ?",
    "forget_told": "DELETE FROM told WHERE call_id = ?",
}
_EVENT_CALL, _EVENT_SEQ = 3, 4


class Change(NamedTuple):
    """One statement by its name in ``STATEMENTS``, and its values."""

    name: str
    row: Sequence[Any]


def fold(changes: Iterable[Change]) -> list[Change]:
    """What is left to do of ``changes``: an event that was acknowledged meanwhile need not go to the database.

    An event is put once, and acknowledged after that; the numbers that it raised are kept.
    """
    left: dict[object, Change] = {}
    raised: dict[tuple[str, str], int] = {}
    for change in changes:
        name, row = change
        if name == "event":
            left["event", row[0], row[1]] = change
            _raise(raised, ("session_seq", row[0]), row[1])
            _raise(raised, ("call_seq", row[_EVENT_CALL]), row[_EVENT_SEQ])
        elif name == "ack":
            if left.pop(("event", row[0], row[1]), None) is None:
                left[object()] = change
        elif name == "call":
            left.pop(("call", row[0]), None)
            left["call", row[0]] = change
        elif name in ("told", "untold"):
            left.pop(("told", row[0], row[1]), None)
            left["told", row[0], row[1]] = change
        elif name == "forget_call":
            left.pop(("call", row[0]), None)
            raised.pop(("call_seq", row[0]), None)
            left[object()] = change
        else:
            left[object()] = change
    return [*left.values(), *(Change(name, (key, number)) for (name, key), number in raised.items())]


def _raise(raised: dict[tuple[str, str], int], key: tuple[str, str], number: int) -> None:
    raised[key] = max(raised.get(key, 0), number)
