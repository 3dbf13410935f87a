"""Who controls which call, and who may see it. Nothing waits here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from offhook.errors import CommandRefused
from offhook.node.calls.ports import Client, Controller, Script
from offhook.node.gateway.sessions import Session
from offhook.node.store.port import Journal, LiveCall
from offhook.protocol.codes import ResultCode

__all__ = ["CallEntry", "Ownership"]


class CallEntry:
    """One call, from its offer or dial to 600 s after its end."""

    def __init__(self, call_id: str, project: str) -> None:
        self.call_id = call_id
        self.project = project
        self.owner: Controller | None = None
        self.asked: dict[str, None] = {}
        """Sessions that the call was offered to and that have not passed, in that order."""
        self.seq = 0
        self.state: dict[str, Any] = {}
        """Params of its last ``calling.call.state``."""
        self.over_at: float | None = None

    @property
    def session(self) -> str:
        """That of the client which owns it; empty: none does."""
        return self.owner.session if isinstance(self.owner, Client) else ""

    @property
    def audience(self) -> list[str]:
        """Sessions that get the call's events: its owner's, or before there is one, all it was offered to."""
        if self.owner is None:
            return list(self.asked)
        return [self.session] if self.session else []


class Ownership:
    """The table of calls. Time (of the loop) is an input."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._calls: dict[str, CallEntry] = {}
        self._held: dict[str, set[str]] = {}
        self.on_claim: Callable[[CallEntry], None] = lambda _entry: None
        """Called when a call gets its owner."""

    def __iter__(self) -> Iterator[CallEntry]:
        return iter(self._calls.values())

    def get(self, call_id: str) -> CallEntry | None:
        """The call's entry, also for a while after its end."""
        return self._calls.get(call_id)

    def ensure(self, call_id: str, project: str) -> CallEntry:
        """The call's entry, made if it has none."""
        entry = self._calls.get(call_id)
        if entry is None:
            entry = self._calls[call_id] = CallEntry(call_id, project)
        return entry

    def assign(self, entry: CallEntry, controller: Controller) -> None:
        """Make it the owner."""
        entry.owner = controller
        self.save(entry)
        if entry.session:
            self._held.setdefault(entry.session, set()).add(entry.call_id)
        for loser in entry.asked:
            if loser != entry.session:
                self._let_go(loser, entry.call_id)
        self.on_claim(entry)

    def release(self, entry: CallEntry) -> None:
        """Its owner went: it is on offer again, to the one who went too."""
        entry.owner = None
        self.save(entry)

    def save(self, entry: CallEntry) -> None:
        """Keep a live call in the journal. A script that owns it goes with its node: it is not there."""
        if entry.over_at is None:
            self._journal.save_call(
                LiveCall(entry.call_id, entry.project, entry.session, entry.seq, entry.state, list(entry.asked))
            )

    def is_foreign(self, call_id: str, session: Session) -> bool:
        """Whether the call is another project's, which must not even learn that it exists (reliability T21)."""
        entry = self._calls.get(call_id)
        return entry is not None and entry.project != session.project

    def claim(self, call_id: str, session: Session) -> None:
        """Let the session command the call; the first command owns an offered call.

        Raises:
            CommandRefused: 409 when another client, or a script, controls it.
        """
        entry = self.check(call_id, session)
        if entry is not None and entry.session != session.protocol and entry.over_at is None:
            self.assign(entry, Client(session.protocol))

    def check(self, call_id: str, session: Session) -> CallEntry | None:
        """Refuse who may not command the call; None for a call that is not known here.

        Raises:
            CommandRefused: as ``claim``.
        """
        entry = self._calls.get(call_id)
        if entry is None:
            return None
        if entry.over_at is not None or entry.session == session.protocol:
            return entry
        if isinstance(entry.owner, Script):
            raise CommandRefused(
                ResultCode.CONFLICT, "a script of this node controls this call: no client may command it"
            )
        if entry.owner is not None:
            raise CommandRefused(
                ResultCode.CONFLICT, "another client controls this call: only the client that took or dialled it may"
            )
        if session.protocol not in entry.asked:
            raise CommandRefused(
                ResultCode.CONFLICT, "this call is not offered to this client: wait for its calling.call.receive"
            )
        return entry

    def ask(self, entry: CallEntry, session: str) -> None:
        """The call is offered to a session."""
        entry.asked[session] = None
        self._held.setdefault(session, set()).add(entry.call_id)
        self.save(entry)

    def restore(self, call: LiveCall) -> None:
        """Take up a call of a node that ran before."""
        entry = self.ensure(call.call_id, call.project)
        entry.seq, entry.state = call.seq, call.state
        for session in call.asked:
            self.ask(entry, session)
        if call.session:
            self.assign(entry, Client(call.session))

    def withdraw(self, entry: CallEntry, session: str) -> None:
        """The session does not want the call (any more)."""
        entry.asked.pop(session, None)
        if entry.session == session:
            self.release(entry)
        self._let_go(session, entry.call_id)

    def load_of(self, session: str) -> int:
        """How many live calls the session controls or is asked to take."""
        return len(self._held.get(session, ()))

    def held_by(self, session: str) -> list[str]:
        """Live calls that the session controls or is asked to take."""
        return list(self._held.get(session, ()))

    def controlled_by(self, session: str) -> list[CallEntry]:
        """Live calls that the session controls."""
        held = [self._calls[call_id] for call_id in self._held.get(session, ())]
        return [entry for entry in held if entry.session == session]

    def _let_go(self, session: str, call_id: str) -> None:
        held = self._held.get(session)
        if held is not None:
            held.discard(call_id)
            if not held:
                del self._held[session]

    def end(self, call_id: str, now: float) -> None:
        """The call is over: only its project is remembered, and who may still get its last events."""
        entry = self._calls.get(call_id)
        if entry is not None and entry.over_at is None:
            entry.over_at = now
            for session in (entry.session, *entry.asked):
                self._let_go(session, call_id)
            entry.state = {}
            self._journal.forget_call(call_id)

    def sweep(self, before: float) -> None:
        """Forget calls that were over before then."""
        for entry in [entry for entry in self._calls.values() if entry.over_at is not None and entry.over_at < before]:
            del self._calls[entry.call_id]
