"""Sessions: one client's authenticated conversation, over as many sockets as it takes."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from offhook.errors import PeerError
from offhook.node.gateway.connection import Connection
from offhook.node.gateway.delivery import Delivery
from offhook.node.gateway.ids import new_identity, new_protocol
from offhook.node.gateway.ledger import Ledger
from offhook.node.gateway.limits import Allowance, Budget, Share
from offhook.node.gateway.settings import GatewaySettings
from offhook.node.gateway.steady import SteadyTime
from offhook.node.gateway.tasks import Tasks
from offhook.node.gateway.unacked import Truncation
from offhook.node.store.port import Journal, StoredSession

__all__ = ["NoPlace", "Session", "Sessions", "Subscribed"]


class Session:
    """What outlives the socket: who it is, what it subscribed to, what it must still get, what it was answered."""

    def __init__(
        self,
        protocol: str,
        project: str,
        token_id: str,
        delivery: Delivery,
        journal: Journal,
        settings: GatewaySettings,
        replies: Budget,
        allowance: Allowance,
    ) -> None:
        self.protocol = protocol
        self.project = project
        self.token_id = token_id
        self.delivery = delivery
        self.identity = new_identity(settings.node_id)
        self.version_major = 0
        self.contexts: dict[str, None] = {}
        self.ledger = Ledger(
            settings.reply_ids_max,
            settings.reply_max_bytes,
            lambda key, at: journal.forget_reply(protocol, key, at),
            replies,
        )
        self.is_ledger_loaded = True
        self.allowance = allowance
        self.connection: Connection | None = None
        self.connections = 0
        """How many it had so far."""
        self.is_silent = False
        """It let an offer go by without an ack, and has not acked anything since."""
        self.asked_last = 0
        """Grows with every offer of the desk, so that equals take turns."""
        self.lost_at: float | None = None
        """When its last socket went (time of the loop); None while connected."""

    @property
    def is_connected(self) -> bool:
        """It has a socket."""
        return self.connection is not None


class NoPlace(PeerError):
    """There are as many sessions as there may be."""


class Subscribed:
    """Names of contexts, of which the latest ``max_names`` are remembered."""

    def __init__(self, max_names: int) -> None:
        self._max_names = max_names
        self._names: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __len__(self) -> int:
        return len(self._names)

    def add(self, names: Iterable[str]) -> None:
        """A client subscribes to these."""
        for name in names:
            self._names[name] = None
            self._names.move_to_end(name)
        while len(self._names) > self._max_names:
            self._names.popitem(last=False)


class Sessions:
    """All sessions of this node, by their ``protocol``."""

    def __init__(self, journal: Journal, settings: GatewaySettings, tasks: Tasks) -> None:
        self._journal = journal
        self._settings = settings
        self._tasks = tasks
        self._sessions: dict[str, Session] = {}
        self._ever_subscribed = Subscribed(settings.contexts_known_max)
        self._events = Budget(settings.retention_total_bytes)
        self._events.on_over = self._relieve_events
        self._replies = Budget(settings.reply_total_bytes)
        self._replies.on_over = self._relieve_replies
        self.clock = SteadyTime()
        """Dates replies, in memory and journal."""
        self._shares: dict[str, Share] = {}
        self.is_needed: Callable[[Session], bool] = lambda _session: False
        """Whether a lost session must stay: it controls a call."""
        self.on_change: Callable[[Session], None] = lambda _session: None
        """Called when a session came, went, or subscribed."""
        self.on_event_ack: Callable[[Session, str, str], None] = lambda _session, _call_id, _type: None

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions.values())

    def get(self, protocol: str) -> Session | None:
        """The session of that name, connected or not."""
        return self._sessions.get(protocol)

    def restore(self, stored: Iterable[StoredSession]) -> None:
        """Take up the sessions of a node that ran before; each counts as lost now."""
        now = asyncio.get_running_loop().time()
        self.clock.look()
        for kept in stored:
            session = self._make(
                kept.protocol,
                kept.project,
                kept.token_id,
                last_seq=kept.session_seq,
                truncation=Truncation(kept.truncated_from, kept.truncated_to),
                is_new=False,
            )
            session.identity = kept.identity
            session.version_major = kept.version_major
            session.delivery.wants_acks = kept.event_acks
            session.contexts = dict.fromkeys(kept.contexts)
            session.lost_at = now
            self._ever_subscribed.add(kept.contexts)

    def resumable(self, protocol: str, project: str, token_id: str) -> Session | None:
        """The session to go on with, if this credential made it."""
        session = self._sessions.get(protocol)
        if session is None or session.project != project or session.token_id != token_id:
            return None
        return session

    def create(self, project: str, token_id: str) -> Session:
        """A fresh session; where there is no place left, that of the one lost longest that has no call.

        Raises:
            NoPlace: all are connected, or have calls.
        """
        if len(self._sessions) >= self._settings.sessions_max:
            self._make_place()
        session = self._make(new_protocol(), project, token_id, last_seq=0, truncation=Truncation(0, 0), is_new=True)
        session.lost_at = asyncio.get_running_loop().time()  # until ``connect``
        return session

    def _make_place(self) -> None:
        lost = [session for session in self._sessions.values() if session.lost_at is not None]
        for session in sorted(lost, key=lambda session: session.lost_at or 0.0):
            if not self.is_needed(session):
                self._drop(session)
                return
        raise NoPlace(f"this node has {len(self._sessions)} clients: end some, or raise limits.sessions")

    def _drop(self, session: Session) -> None:
        del self._sessions[session.protocol]
        session.delivery.close()
        session.ledger.clear()
        self._journal.forget_session(session.protocol)

    def _relieve_events(self) -> None:
        """All together keep too much: who keeps most pays."""
        while self._events.is_over:
            max(self._sessions.values(), key=lambda session: session.delivery.kept_bytes).delivery.drop_oldest()

    def _relieve_replies(self) -> None:
        while self._replies.is_over:
            max(self._sessions.values(), key=lambda session: session.ledger.size_bytes).ledger.drop_oldest()

    def _allowance(self, token_id: str, *, is_new: bool) -> Allowance:
        share = self._shares.get(token_id)
        if share is None:
            share = self._shares[token_id] = Share(self._settings)
        is_burst = not is_new or share.may_burst(asyncio.get_running_loop().time())
        return Allowance(self._settings, share, is_burst=is_burst)

    def _make(
        self, protocol: str, project: str, token_id: str, *, last_seq: int, truncation: Truncation, is_new: bool
    ) -> Session:
        delivery = Delivery(
            protocol,
            self._journal,
            self._settings,
            self._tasks,
            last_seq=last_seq,
            truncation=truncation,
            is_loaded=is_new,
            budget=self._events,
        )
        allowance = self._allowance(token_id, is_new=is_new)
        session = Session(
            protocol, project, token_id, delivery, self._journal, self._settings, self._replies, allowance
        )
        session.is_ledger_loaded = is_new
        delivery.on_ack = lambda call_id, event_type: self.on_event_ack(session, call_id, event_type)
        self._sessions[protocol] = session
        return session

    async def load_replies(self, session: Session) -> None:
        """Read the ledger that an earlier node left.

        Raises:
            offhook.node.store.port.JournalFailure: it cannot be read now.
        """
        if not session.is_ledger_loaded:
            session.ledger.restore(await self._journal.replies(session.protocol), self.clock.now())
            session.is_ledger_loaded = True

    def connect(self, session: Session, connection: Connection) -> None:
        """Give the session this socket; an older one is told to go (reliability T23)."""
        older = session.connection
        session.connection = connection
        session.connections += 1
        session.is_silent = False
        session.lost_at = None
        session.delivery.detach()
        if older is not None:
            older.disconnect(restart=False)
        connection.on_overflow = lambda: self.disconnected(session, connection)
        self.save(session)

    def disconnected(self, session: Session, connection: Connection) -> None:
        """A socket is gone; only the current one matters."""
        if session.connection is connection:
            session.connection = None
            session.lost_at = asyncio.get_running_loop().time()
            session.delivery.detach()
            self.save(session)
            self.on_change(session)

    def subscribe(self, session: Session, contexts: Iterable[str]) -> None:
        """Offer inbound calls of these contexts to the session."""
        session.contexts.update(dict.fromkeys(contexts))
        self._ever_subscribed.add(session.contexts)
        self.save(session)
        self.on_change(session)

    def unsubscribe(self, session: Session, contexts: Iterable[str]) -> None:
        """Stop offering calls of these contexts."""
        for context in contexts:
            session.contexts.pop(context, None)
        self.save(session)
        self.on_change(session)

    def was_subscribed(self, context: str) -> bool:
        """Whether a client has ever subscribed to the context, as far as it is remembered."""
        return context in self._ever_subscribed

    def save(self, session: Session) -> asyncio.Future[None]:
        """Bring the journal up to date."""
        return self._journal.save_session(
            StoredSession(
                protocol=session.protocol,
                project=session.project,
                token_id=session.token_id,
                identity=session.identity,
                version_major=session.version_major,
                event_acks=session.delivery.wants_acks,
                contexts=list(session.contexts),
                seen_at=time.time(),
                session_seq=session.delivery.last_seq,
                truncated_from=session.delivery.truncation.first,
                truncated_to=session.delivery.truncation.last,
            )
        )

    def sweep(self) -> None:
        """Drop what is too old; a session that is needed stays."""
        self.clock.look()
        now = asyncio.get_running_loop().time()
        before = self.clock.now() - self._settings.retention_s
        for session in list(self._sessions.values()):
            session.ledger.sweep(before)
            dropped = session.delivery.truncation
            session.delivery.sweep(now - self._settings.retention_s)
            is_lost = session.lost_at is not None and now - session.lost_at >= self._settings.retention_s
            if is_lost and not self.is_needed(session):
                self._drop(session)
            elif session.delivery.truncation != dropped:
                self.save(session)
        if before > self.clock.began_at:  # those of a process before are older than that, whatever clock it had
            self._journal.forget_replies(before)
