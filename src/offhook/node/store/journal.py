"""The event journal: what was promised to a client outlives its socket, this process and, if durable, the machine."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from offhook.node.store.changes import Change
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

_OF_A_SESSION = ("forget_session", "forget_events", "forget_replies", "forget_controls")
_OF_A_CALL = ("forget_call", "forget_controls", "forget_told")
_CONTROLS = """
SELECT call_id, control_id, method, session, is_closed, coalesce(state, '') FROM controls
    LEFT JOIN told USING (call_id, control_id)
"""
_REPLIES = """
SELECT session, request_id, reply, min(at) AS first FROM replies WHERE session = ?
    GROUP BY request_id ORDER BY first
"""


class SqliteJournal:
    """The journal in a SQLite file (WAL) that nobody else writes, and its tail. Implements ``port.Journal``."""

    def __init__(self, path: Path, settings: WriterSettings | None = None) -> None:
        self._writer = Writer(path, settings)

    @property
    def is_healthy(self) -> bool:
        """See ``port.Journal``."""
        return self._writer.is_healthy

    @property
    def remedy(self) -> str:
        """See ``port.Journal``."""
        return self._writer.remedy

    async def start(self) -> Recovered:
        """See ``port.Journal``. Recovery of the file itself is SQLite's: what was committed is there."""
        await self._writer.start()
        return await self._writer.read(_recover)

    async def close(self) -> None:
        """See ``port.Journal``."""
        await self._writer.close()

    def sync(self) -> asyncio.Future[None]:
        """See ``port.Journal``."""
        return self._writer.sync()

    async def flushed(self) -> None:
        """See ``port.Journal``."""
        await self._writer.flushed()

    # --- events ---

    def append(self, events: Sequence[StoredEvent]) -> asyncio.Future[None]:
        """See ``port.Journal``."""
        return self._writer.submit([Change("event", msgspec.structs.astuple(event)) for event in events])

    def acknowledge(self, session: str, session_seqs: Iterable[int]) -> None:
        """See ``port.Journal``."""
        self._writer.note([Change("ack", (session, seq)) for seq in session_seqs])

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
        return self._writer.submit([Change("session", row)])

    def forget_session(self, protocol: str) -> None:
        """See ``port.Journal``."""
        self._writer.note([Change(name, (protocol,)) for name in _OF_A_SESSION])

    def save_reply(self, reply: StoredReply) -> None:
        """See ``port.Journal``."""
        self._writer.note([Change("reply", msgspec.structs.astuple(reply))])

    def forget_reply(self, session: str, request_id: str, at: float) -> None:
        """See ``port.Journal``."""
        self._writer.note([Change("forget_reply", (at, session, request_id))])

    def forget_replies(self, before: float) -> None:
        """See ``port.Journal``."""
        self._writer.note([Change("forget_old_replies", (before,))])

    async def replies(self, session: str) -> list[StoredReply]:
        """See ``port.Journal``."""
        rows = await self._writer.read(lambda connection: connection.execute(_REPLIES, (session,)).fetchall())
        return [StoredReply(*row) for row in rows]

    # --- calls and controls ---

    def save_call(self, call: LiveCall) -> None:
        """See ``port.Journal``."""
        state = msgspec.json.encode(call.state).decode()
        asked = msgspec.json.encode(call.asked).decode()
        self._writer.note([Change("call", (call.call_id, call.project, call.session, call.seq, state, asked))])

    def forget_call(self, call_id: str) -> None:
        """See ``port.Journal``."""
        self._writer.note([Change(name, (call_id,)) for name in _OF_A_CALL])

    def open_control(self, control: OpenControl) -> None:
        """See ``port.Journal``."""
        row = control.call_id, control.control_id, control.method, control.session, control.is_closed
        self._writer.note([Change("control", row)])

    def note_control(self, call_id: str, control_id: str, state: str) -> None:
        """See ``port.Journal``."""
        self._writer.note([Change("told", (call_id, control_id, state))])

    def close_control(self, call_id: str, control_id: str) -> None:
        """See ``port.Journal``."""
        row = call_id, control_id
        self._writer.note([Change("close_control", row), Change("untold", row)])

    def forget_control(self, call_id: str, control_id: str) -> None:
        """See ``port.Journal``."""
        self._writer.note([Change("forget_control", (call_id, control_id))])


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
        OpenControl(row[0], row[1], row[2], row[3], bool(row[4]), row[5]) for row in connection.execute(_CONTROLS)
    ]
    return Recovered(sessions, calls, controls)


def _object(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])
