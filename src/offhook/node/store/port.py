"""What the gateway needs of a journal. ``journal.py`` is the real one: a local SQLite file of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec

from offhook.errors import MachineError

__all__ = [
    "Journal",
    "JournalFailure",
    "LiveCall",
    "OpenControl",
    "Recovered",
    "StoredEvent",
    "StoredReply",
    "StoredSession",
]


class JournalFailure(MachineError):
    """The journal could not write (a full disk, a device error). What was to be written is tried again."""


class StoredEvent(msgspec.Struct, frozen=True):
    """One event for one session, as it went or will go over the wire. ``at``: seconds of the Unix epoch."""

    session: str
    session_seq: int
    id: str
    call_id: str
    seq: int
    event_type: str
    at: float
    frame: str

    @property
    def size_bytes(self) -> int:
        """What it counts for in the retention; the frame is ASCII or close to it."""
        return len(self.frame)


class StoredSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session of a client, so that it can be resumed after a restart of the node."""

    protocol: str
    project: str
    token_id: str
    identity: str
    version_major: int
    event_acks: bool
    contexts: list[str]
    seen_at: float
    session_seq: int = 0
    truncated_from: int = 0
    truncated_to: int = 0


class StoredReply(msgspec.Struct, frozen=True):
    """The first reply to a request id of a session."""

    session: str
    request_id: str
    reply: str
    at: float


class LiveCall(msgspec.Struct, frozen=True):
    """A call that has not ended: its last event number, who controls it and its last ``calling.call.state`` params.

    ``asked``: the sessions it was offered to, while nobody controls it.
    """

    call_id: str
    project: str
    session: str
    seq: int
    state: dict[str, Any]
    asked: list[str] = []


class OpenControl(msgspec.Struct, frozen=True):
    """An accepted verb of a live call. ``is_closed``: it sent its terminal event. ``state``: the last it told.

    Of a dial, which may have no call yet, ``call_id`` is its session and ``control_id`` its tag.
    """

    call_id: str
    control_id: str
    method: str
    session: str
    is_closed: bool = False
    state: str = ""


class Recovered(msgspec.Struct, frozen=True):
    """What a journal knows when it is opened."""

    sessions: list[StoredSession]
    calls: list[LiveCall]
    controls: list[OpenControl]


class Journal(Protocol):
    """Writes in the order it is called; a returned future is done when it is written, or fails with JournalFailure.

    Those of writes are done in their order, and wait for no sync.

    What is told it in one turn of the loop is written together, after that turn.
    """

    @property
    def is_healthy(self) -> bool:
        """Whether the last write worked. While it did not, new calls are to be refused."""
        ...

    @property
    def remedy(self) -> str:
        """What to do while it is not healthy: the end of a sentence."""
        ...

    async def start(self) -> Recovered:
        """Open, recover what was left, and tell it.

        Raises:
            JournalFailure: the file cannot be opened or is damaged; says what to do.
        """
        ...

    async def close(self) -> None:
        """Write what is pending, sync and close."""
        ...

    def sync(self) -> asyncio.Future[None]:
        """Done when all that was told it before is on the disk, which everything is within a second anyway."""
        ...

    def append(self, events: Sequence[StoredEvent]) -> asyncio.Future[None]:
        """Keep events until they are acknowledged."""
        ...

    def acknowledge(self, session: str, session_seqs: Iterable[int]) -> None:
        """Forget events that the client has."""
        ...

    async def unacknowledged(self, session: str, after: int, limit: int) -> list[StoredEvent]:
        """The oldest kept events with a greater ``session_seq`` than ``after``.

        Raises:
            JournalFailure: older writes are not on the disk yet; ask again later.
        """
        ...

    def save_session(self, session: StoredSession) -> asyncio.Future[None]:
        """Keep a session or what changed in it; its ``session_seq`` never goes back."""
        ...

    def forget_session(self, protocol: str) -> None:
        """Drop a session with its events and replies."""
        ...

    def save_reply(self, reply: StoredReply) -> None:
        """Keep the first reply to a request id."""
        ...

    def forget_reply(self, session: str, request_id: str, at: float) -> None:
        """Drop one reply before its time; ``at`` as it was kept."""
        ...

    def forget_replies(self, before: float) -> None:
        """Drop replies that are older than ``before`` (seconds of the Unix epoch)."""
        ...

    async def replies(self, session: str) -> list[StoredReply]:
        """The kept replies of a session, oldest first.

        Raises:
            JournalFailure: as ``unacknowledged``.
        """
        ...

    def save_call(self, call: LiveCall) -> None:
        """Keep what is known of a live call; its ``seq`` never goes back."""
        ...

    def forget_call(self, call_id: str) -> None:
        """The call has ended: drop it and its open controls (not its events)."""
        ...

    def open_control(self, control: OpenControl) -> None:
        """A verb was accepted."""
        ...

    def note_control(self, call_id: str, control_id: str, state: str) -> None:
        """A verb told this state."""
        ...

    def close_control(self, call_id: str, control_id: str) -> None:
        """A verb sent its terminal event."""
        ...

    def forget_control(self, call_id: str, control_id: str) -> None:
        """The outcome of a dial was told: drop it."""
        ...

    async def flushed(self) -> None:
        """Wait until all that was given so far was written or failed to be."""
        ...
