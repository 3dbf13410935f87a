"""What of a session's events goes out when, without IO: events, pages, acks and time in; what to do next out.

A driver tells what happens (``attach``, ``journalled``, ``heard``, ``retract``, ``detach``, acks to ``unacked``), and
while there is a connection does what ``next`` says: send an event, read a page of the journal and hand it in, rest.
It decides nothing. The tables are in ``replay_states``.

    unread <-> loading ----+---> live <-----------+
                           |                      |      closed: final, from anywhere
      away <-> replaying --+---> waiting <-> repeating
       ^--- live, waiting, repeating

Live, an event goes out as soon as it is journalled. After ``attach`` with unacked events left, those are read from the
journal in pages and sent first; what is journalled meanwhile is found there too.

An offer that went out on a connection before may have arrived there, and its ack been lost: stock clients would run
their handler twice. It waits (``waits.Wait``), and what is behind it of its call with it; a command for the call shows
that the client has it, and takes it back.

What is to be on the disk first waits for that, and what is behind it in its lane (``syncs.Syncs``). A walk passes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from offhook.node.gateway.replay_states import ATTACHED, LOADED, SENDING, TRANSITIONS, Cause, Phase, State
from offhook.node.gateway.settings import GatewaySettings
from offhook.node.gateway.syncs import Syncs
from offhook.node.gateway.unacked import Unacked
from offhook.node.gateway.waits import Wait
from offhook.node.gateway.walk import Read, Rest, Walk
from offhook.node.store.port import StoredEvent
from offhook.protocol.verbs.state import RECEIVE_EVENT

__all__ = ["Read", "Replay", "Rest"]


class Replay:
    """One session's. ``last_seq``: the last number that was given; ``is_new``: no earlier node left anything."""

    def __init__(self, unacked: Unacked, settings: GatewaySettings, *, last_seq: int, is_new: bool) -> None:
        self.unacked = unacked
        self._settings = settings
        self.state = State.AWAY if is_new else State.UNREAD
        self._is_sending = False
        self.last_seq = last_seq
        self._delivered_seq = last_seq
        self._loaded_seq = last_seq if is_new else 0
        """What is up to this of ``_left_seq`` was read from the journal once."""
        self._left_seq = last_seq
        self._walk: Walk | None = None
        self._is_heard = False
        self._held: dict[str, Wait] = {}
        self._retracted: dict[str, int] = {}
        self._syncs = Syncs()

    def number(self) -> int:
        """The next ``session_seq``."""
        self.last_seq += 1
        return self.last_seq

    def is_unacked(self, event_id: str, session_seq: int) -> bool:
        """The client has not said that it has this event, which may be still on its way through the journal."""
        return event_id in self.unacked or session_seq > self._delivered_seq

    @property
    def is_behind(self) -> bool:
        """Whether ``next`` has something to say."""
        return self._walk is not None

    def holds(self, call_id: str) -> bool:
        """Whether an offer of the call waits, and what is behind it of the call."""
        return call_id in self._held

    # --- what happens ---

    def attach(self, now: float) -> None:
        """There is a (new) connection."""
        self.detach(now)
        if self.state is State.AWAY and not self.unacked:
            self._move(Cause.ATTACHED_CURRENT)
        elif self.state is not State.CLOSED:
            self._walk = Walk(None)
            self._move(Cause.ATTACHED)

    def heard(self, now: float) -> None:
        """The client said something on this connection."""
        if self._is_heard:
            return
        self._is_heard = True
        for wait in self._held.values():
            wait.heard(now)

    def detach(self, now: float) -> None:
        """The connection is gone or going: what comes is kept in the journal alone."""
        for call_id, wait in self._held.items():
            if not wait.is_over:
                wait.stop(now)
                self.unacked.put_wait(call_id, wait)
        self._held.clear()
        self._walk = None
        self._is_heard = False
        self.unacked.replayed.clear()
        if (self.state, Cause.DETACHED) in TRANSITIONS:
            self._move(Cause.DETACHED)

    def journalled(self, event: StoredEvent, now: float, lane: str, *, is_synced: bool) -> bool:
        """It is in the journal (or was refused there: then it has this one chance). True: send it now.

        ``is_synced``: False where it, and what is behind it in its lane, is to wait for ``synced``.
        """
        if self.state is State.CLOSED:  # the session went while it was on its way through the journal
            return False
        self.unacked.keep(event, now)
        self._delivered_seq = event.session_seq
        goes = self._is_sending and event.call_id not in self._held
        if self._retracted:
            if self._is_retracted(event):
                self.unacked.forget(event.id)
                goes = False
            if self.state in LOADED and self._delivered_seq == self.last_seq:
                self._retracted.clear()
        if self._syncs.add(event, lane, is_synced=is_synced):
            return False
        if goes and event.event_type == RECEIVE_EVENT:
            self.unacked.went_out(event)
        return goes

    def synced(self, event: StoredEvent) -> list[StoredEvent]:
        """It is on the disk, or never will be. Returns what of its lane is to be sent now."""
        return [free for free in self._syncs.synced(event) if self._goes_late(free)]

    def _goes_late(self, event: StoredEvent) -> bool:
        """Whether it goes out now; a walk that comes to it later sends it then."""
        if self.state not in ATTACHED or event.id not in self.unacked:
            return False
        walk, is_held = self._walk, event.call_id in self._held
        if walk is not None and (walk.calls is None or event.call_id in walk.calls):
            is_held = not walk.has_passed(event) or (is_held and walk.calls is None)
        if is_held:
            return False
        if event.event_type == RECEIVE_EVENT:
            self.unacked.went_out(event)
        return True

    def retract(self, call_id: str) -> None:
        """Send the offer of a call never (again); where it is in a socket's queue already, it goes out."""
        if self.state not in LOADED or self._delivered_seq < self.last_seq:  # it may be still on its way
            self._retracted[call_id] = self.last_seq
        for event_id in self.unacked.offers_of(call_id):
            self.unacked.forget(event_id)
        if call_id in self._held:
            self._held[call_id].end()

    def read(self, page: Sequence[StoredEvent]) -> None:
        """The page that was asked for: the oldest that are kept, in order; empty: there is no more."""
        walk = self._walk
        if walk is None or walk.phase is not Phase.ASKED:
            return
        walk.read(page, self._delivered_seq)
        if walk.is_over:
            for call_id in walk.calls or ():
                del self._held[call_id]
            self._walk = None
            self._move(Cause.HELD if self._held else Cause.THROUGH)

    def unreadable(self, now: float) -> None:
        """The page that was asked for cannot be read now."""
        if self._walk is not None and self._walk.phase is Phase.ASKED:
            self._walk.unreadable(now)

    def close(self) -> None:
        """The session is gone, and the journal told."""
        self._held.clear()
        self._walk = None
        self._syncs.clear()
        self.unacked.clear()
        if self.state is not State.CLOSED:
            self._move(Cause.GONE)

    # --- what is to be done ---

    def next(self, now: float) -> StoredEvent | Read | Rest | None:
        """Send an event, read a page, or rest; None: nothing but what ``journalled`` says, until ``attach``."""
        while True:
            walk = self._walk
            if walk is None:
                if self.state is not State.WAITING:
                    return None
                due = frozenset(call_id for call_id, wait in self._held.items() if wait.due_at <= now)
                if not due:
                    return Rest(min(wait.due_at for wait in self._held.values()))
                self._walk = Walk(due)
                self._move(Cause.DUE)
            elif (event := walk.take()) is not None:
                if self._is_wanted(event, now) and not self._syncs.holds(event) and self._is_due(event, walk, now):
                    self._goes_again(event)
                    return event
            elif walk.phase is Phase.ASK:
                return walk.ask(self._delivered_seq)
            elif (rest := walk.go_on(now, is_full=self._is_full())) is not None:
                return rest

    def _is_full(self) -> bool:
        return len(self.unacked.replayed) >= self._settings.replay_window

    def _is_wanted(self, event: StoredEvent, now: float) -> bool:
        """Whether an event of the journal is still unacked; after a restart the journal knows better than we do."""
        if self._loaded_seq < event.session_seq <= self._left_seq:
            self._loaded_seq = event.session_seq
            if self._is_retracted(event):
                self.unacked.to_forget.append(event.session_seq)
                return False
            self.unacked.keep(event, now)
            if event.event_type == RECEIVE_EVENT:
                self.unacked.went_out(event)
        return event.id in self.unacked

    def _is_due(self, event: StoredEvent, walk: Walk, now: float) -> bool:
        """Of a walk through all: not an offer that may be known, nor behind one; of a later one: what was held so."""
        call_id = event.call_id
        if walk.calls is not None:
            return call_id in walk.calls and event.id not in self.unacked.replayed
        if call_id in self._held:
            return False
        if event.event_type == RECEIVE_EVENT and self.unacked.may_be_known(event):
            wait = self.unacked.take_wait(call_id)
            if not wait.is_over:
                wait.begin(now, is_heard=self._is_heard)
                self._held[call_id] = wait
                return False
        return True

    def _goes_again(self, event: StoredEvent) -> None:
        self.unacked.replayed.add(event.id)
        if event.event_type == RECEIVE_EVENT:
            self.unacked.went_out(event)
            if event.call_id in self._held:
                self._held[event.call_id].end()

    def _is_retracted(self, event: StoredEvent) -> bool:
        is_offer = event.event_type == RECEIVE_EVENT
        return is_offer and event.session_seq <= self._retracted.get(event.call_id, 0)

    def _move(self, cause: Cause) -> None:
        self.state = TRANSITIONS[self.state, cause]
        self._is_sending = self.state in SENDING
