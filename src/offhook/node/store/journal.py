"""The event journal: what was promised to a client outlives its socket, this process and, if durable, the machine."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from offhook.node.store.port import (
    LiveCall,
    OpenControl,
    Recovered,
    StoredEvent,
    StoredReply,
    StoredSession,
)
from offhook.node.store.writer import Writer, WriterSettings

__all__ = ["SqliteJournal"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
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
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY, project TEXT NOT NULL, session TEXT NOT NULL, seq INTEGER NOT NULL, state TEXT NOT NULL,
    asked TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS controls (
    call_id TEXT NOT NULL, control_id TEXT NOT NULL, method TEXT NOT NULL, session TEXT NOT NULL,
    is_closed INTEGER NOT NULL, PRIMARY KEY (call_id, control_id)) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS raise_numbers AFTER INSERT ON events BEGIN
    UPDATE sessions SET session_seq = max(session_seq, new.session_seq) WHERE protocol = new.session;
    UPDATE calls SET seq = max(seq, new.seq) WHERE call_id = new.call_id;
END;
PRAGMA user_version = 1;
"""
"""A b-tree a table, and rows that belong together side by side: each page that a commit touches is written whole."""

_PUT_EVENT = "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_REPLY = "INSERT OR IGNORE INTO replies (session, request_id, reply, at) VALUES (?, ?, ?, ?)"
_REPLIES = """
SELECT session, request_id, reply, min(at) AS first FROM replies WHERE session = ?
    GROUP BY request_id ORDER BY first
"""
_PUT_SESSION = """
INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (protocol) DO UPDATE SET
    version_major = excluded.version_major, event_acks = excluded.event_acks, contexts = excluded.contexts,
    identity = excluded.identity, seen_at = excluded.seen_at, session_seq = max(session_seq, excluded.session_seq),
    truncated_from = excluded.truncated_from, truncated_to = excluded.truncated_to
"""
_PUT_CALL = """
INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (call_id) DO UPDATE SET
    project = excluded.project, session = excluded.session, seq = max(seq, excluded.seq), state = excluded.state,
    asked = excluded.asked
"""


class SqliteJournal:
    """The journal in a SQLite file (WAL) that nobody else writes. Implements ``port.Journal``."""

    def __init__(self, path: Path, settings: WriterSettings | None = None) -> None:
        self._writer = Writer(path, _SCHEMA, settings)

    @property
    def is_healthy(self) -> bool:
        """See ``port.Journal``."""
        return self._writer.is_healthy

    async def start(self) -> Recovered:
        """See ``port.Journal``. Recovery of the file itself is SQLite's: what was committed is there."""
        await self._writer.start()
        return await self._writer.read(_recover)

    async def close(self) -> None:
        """See ``port.Journal``."""
        await self._writer.close()

    async def flushed(self) -> None:
        """See ``port.Journal``."""
        await self._writer.flushed()

    # --- events ---

    def append(self, events: Sequence[StoredEvent], *, durable: bool) -> asyncio.Future[None]:
        """See ``port.Journal``."""
        return self._writer.submit([(_PUT_EVENT, msgspec.structs.astuple(event)) for event in events], durable=durable)

    def acknowledge(self, session: str, session_seqs: Iterable[int]) -> None:
        """See ``port.Journal``."""
        self._writer.gather(
            [("DELETE FROM events WHERE session = ? AND session_seq = ?", (session, seq)) for seq in session_seqs]
        )

    async def unacknowledged(self, session: str, after: int, limit: int) -> list[StoredEvent]:
        """See ``port.Journal``."""
        rows = await self._writer.read(
            lambda connection: connection.execute(
                "SELECT * FROM events WHERE session = ? AND session_seq > ? ORDER BY session_seq LIMIT ?",
                (session, after, limit),
            ).fetchall()
        )
        return [StoredEvent(*row) for row in rows]

    # --- sessions and replies ---

    def save_session(self, session: StoredSession) -> asyncio.Future[None]:
        """See ``port.Journal``."""
        row = (
            session.protocol,
            session.project,
            session.token_id,
            session.identity,
            session.version_major,
            session.event_acks,
            msgspec.json.encode(session.contexts).decode(),
            session.seen_at,
            session.session_seq,
            session.truncated_from,
            session.truncated_to,
        )
        return self._writer.submit([(_PUT_SESSION, row)])

    def forget_session(self, protocol: str) -> None:
        """See ``port.Journal``."""
        self._writer.gather(
            [
                ("DELETE FROM sessions WHERE protocol = ?", (protocol,)),
                ("DELETE FROM events WHERE session = ?", (protocol,)),
                ("DELETE FROM replies WHERE session = ?", (protocol,)),
            ]
        )

    def save_reply(self, reply: StoredReply) -> None:
        """See ``port.Journal``."""
        self._writer.gather([(_PUT_REPLY, msgspec.structs.astuple(reply))])

    def confirm_reply(self, reply: StoredReply) -> asyncio.Future[None]:
        """See ``port.Journal``."""
        return self._writer.submit([(_PUT_REPLY, msgspec.structs.astuple(reply))], durable=True)

    def forget_replies(self, before: float) -> None:
        """See ``port.Journal``."""
        self._writer.gather([("DELETE FROM replies WHERE at < ?", (before,))])

    async def replies(self, session: str) -> list[StoredReply]:
        """See ``port.Journal``."""
        rows = await self._writer.read(lambda connection: connection.execute(_REPLIES, (session,)).fetchall())
        return [StoredReply(*row) for row in rows]

    # --- calls, controls, engine ---

    def save_call(self, call: LiveCall) -> None:
        """See ``port.Journal``."""
        state = msgspec.json.encode(call.state).decode()
        asked = msgspec.json.encode(call.asked).decode()
        self._writer.gather([(_PUT_CALL, (call.call_id, call.project, call.session, call.seq, state, asked))])

    def forget_call(self, call_id: str) -> None:
        """See ``port.Journal``."""
        self._writer.gather(
            [
                ("DELETE FROM calls WHERE call_id = ?", (call_id,)),
                ("DELETE FROM controls WHERE call_id = ?", (call_id,)),
            ]
        )

    def open_control(self, control: OpenControl) -> None:
        """See ``port.Journal``."""
        self._writer.gather(
            [("INSERT OR REPLACE INTO controls VALUES (?, ?, ?, ?, ?)", msgspec.structs.astuple(control))]
        )

    def close_control(self, call_id: str, control_id: str) -> None:
        """See ``port.Journal``."""
        self._writer.gather(
            [("UPDATE controls SET is_closed = 1 WHERE call_id = ? AND control_id = ?", (call_id, control_id))]
        )

    def save_engine_seq(self, boot: str, seq: int) -> asyncio.Future[None]:
        """See ``port.Journal``."""
        put = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
        return self._writer.submit([(put, ("engine_boot", boot)), (put, ("engine_seq", seq))])


def _recover(connection: sqlite3.Connection) -> Recovered:
    sessions = [
        StoredSession(
            protocol=row[0],
            project=row[1],
            token_id=row[2],
            identity=row[3],
            version_major=row[4],
            event_acks=bool(row[5]),
            contexts=msgspec.json.decode(row[6], type=list[str]),
            seen_at=row[7],
            session_seq=row[8],
            truncated_from=row[9],
            truncated_to=row[10],
        )
        for row in connection.execute("SELECT * FROM sessions")
    ]
    calls = [
        LiveCall(row[0], row[1], row[2], row[3], _object(row[4]), msgspec.json.decode(row[5], type=list[str]))
        for row in connection.execute("SELECT * FROM calls")
    ]
    controls = [
        OpenControl(row[0], row[1], row[2], row[3], bool(row[4]))
        for row in connection.execute("SELECT * FROM controls")
    ]
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    return Recovered(sessions, calls, controls, str(meta.get("engine_boot", "")), int(meta.get("engine_seq", 0)))


def _object(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])
