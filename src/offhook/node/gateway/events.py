"""The ordered outbox of each call: events leave in order, journalled first, never before the reply they follow."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import structlog

from offhook.node.calls.ports import OutgoingEvent, Told
from offhook.node.gateway.dials import Dials
from offhook.node.gateway.ids import new_event_id
from offhook.node.gateway.ownership import CallEntry, Ownership
from offhook.node.gateway.sessions import Session, Sessions
from offhook.node.gateway.settings import GatewaySettings
from offhook.node.store.port import Journal, OpenControl, StoredEvent
from offhook.protocol import methods
from offhook.protocol.frames import Request, dump_frame
from offhook.protocol.verbs import spec_of
from offhook.protocol.verbs.state import RECEIVE_EVENT, STATE_EVENT

__all__ = ["Outbox", "Turn", "envelope"]

log = structlog.get_logger(__name__)


class _Stamped(NamedTuple):
    number: int
    at: float
    event: OutgoingEvent


class _Lane:
    """The events of one call (or of one dial) that have not left yet, and who waits for those before a mark."""

    __slots__ = ("key", "waiting")

    def __init__(self, key: str) -> None:
        self.key = key
        self.waiting: deque[_Stamped | asyncio.Future[None]] = deque()


class Turn:
    """A command under way: the events of its call wait for its reply (relay-protocol 10.5, rule 1)."""

    def __init__(self, outbox: Outbox, method: str, params: Mapping[str, Any]) -> None:
        self._outbox = outbox
        self.method = method
        self.call_id = str(params.get("call_id", ""))
        self.tag = str(params.get("tag", "")) if not self.call_id else ""
        self.control_id = str(params.get("control_id", ""))
        self.is_over = False

    def replied(self) -> None:
        """The reply is queued: what waits follows it."""
        self._outbox.end_turn(self)

    def written(self) -> None:
        """The reply went to the socket: what must settle has 50 ms to wait."""
        self._outbox.reply_written(self)


class Outbox:
    """Implements ``EventSink``: a lane per call. Lanes that a command held back empty in the order of emission."""

    def __init__(self, journal: Journal, sessions: Sessions, ownership: Ownership, settings: GatewaySettings) -> None:
        self._journal = journal
        self._sessions = sessions
        self._ownership = ownership
        self._settings = settings
        self._lanes: dict[str, _Lane] = {}
        self._turns_of_call: Counter[str] = Counter()
        self._turns_of_tag: Counter[str] = Counter()
        self.dials = Dials(journal)
        self._held_by_tag: dict[str, set[str]] = {}
        """Keys of the lanes that wait for a dial's reply."""
        self._unsettled: dict[tuple[str, str], float | None] = {}
        self._controls: dict[str, dict[str, OpenControl]] = {}
        self._closed_before: dict[str, set[str]] = {}
        self._emitted = 0
        self.on_leave: Callable[[Session, OutgoingEvent, str, int], None] = lambda *_: None
        """Called with the id and ``session_seq`` of each event that goes to a session."""
        self.counts = {"unheard": 0, "unjournalled": 0, "repeated_ends": 0, "unwritable": 0}
        """Events nobody was there to get; that left without the journal; second ends after a recovery; no JSON."""

    # --- EventSink ---

    def emit(self, event: OutgoingEvent) -> None:
        """See ``EventSink``."""
        self._emitted += 1
        key = event.call_id or f"{event.session} {event.tag}"
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(key)
        lane.waiting.append(_Stamped(self._emitted, time.time(), event))
        self._empty([lane])

    async def journalled(self) -> None:
        """See ``EventSink``."""
        loop = asyncio.get_running_loop()
        marks = []
        for lane in self._lanes.values():
            mark = loop.create_future()
            lane.waiting.append(mark)
            marks.append(mark)
        if marks:
            await asyncio.wait(marks)
        await self._journal.flushed()
        while not self._journal.is_healthy:
            await asyncio.sleep(self._settings.settle_s)
            await self._journal.flushed()

    def told(self, call_id: str) -> Told | None:
        """See ``EventSink``."""
        entry = self._ownership.get(call_id)
        if entry is None:
            return None
        controls = self._controls.get(call_id, {})
        return Told(entry.state, {control.control_id: control.state for control in controls.values()})

    # --- turns ---

    def begin_turn(self, method: str, params: Mapping[str, Any]) -> Turn:
        """A command was taken up."""
        turn = Turn(self, method, params)
        if turn.call_id:
            self._turns_of_call[turn.call_id] += 1
        elif turn.tag:
            self._turns_of_tag[turn.tag] += 1
        if turn.control_id and (spec := spec_of(method)) is not None and spec.settles:
            self._unsettled[turn.call_id, turn.control_id] = None
        return turn

    def end_turn(self, turn: Turn) -> None:
        """Its reply is queued: what waited for it alone leaves."""
        if turn.is_over:
            return
        turn.is_over = True
        if turn.call_id:
            _take_one(self._turns_of_call, turn.call_id)
            keys = {turn.call_id}
        else:
            _take_one(self._turns_of_tag, turn.tag)
            keys = self._held_by_tag.pop(turn.tag, set())
        self._empty([self._lanes[key] for key in keys if key in self._lanes])

    def reply_written(self, turn: Turn) -> None:
        """Its reply left."""
        key = (turn.call_id, turn.control_id)
        if self._unsettled.get(key, 0.0) is None:
            loop = asyncio.get_running_loop()
            self._unsettled[key] = loop.time() + self._settings.settle_s
            loop.call_later(self._settings.settle_s, self._settled, key)

    def _settled(self, key: tuple[str, str]) -> None:
        self._unsettled.pop(key, None)
        if key[0] in self._lanes:
            self._empty([self._lanes[key[0]]])

    # --- letting go ---

    def _empty(self, lanes: Iterable[_Lane]) -> None:
        """Let go what nothing holds back, the earliest emitted first over all lanes."""
        open_lanes = [lane for lane in lanes if lane.waiting]
        while open_lanes:
            heads = [(self._order(lane), lane) for lane in open_lanes if not self._is_held(lane)]
            if not heads:
                break
            _, lane = min(heads, key=lambda head: head[0])
            head = lane.waiting.popleft()
            if isinstance(head, asyncio.Future):
                if not head.done():
                    head.set_result(None)
            else:
                self._leave(head)
            if not lane.waiting:
                open_lanes.remove(lane)
                self._lanes.pop(lane.key, None)

    def _order(self, lane: _Lane) -> int:
        head = lane.waiting[0]
        return head.number if isinstance(head, _Stamped) else 0

    def _is_held(self, lane: _Lane) -> bool:
        head = lane.waiting[0]
        if isinstance(head, asyncio.Future):
            return False
        event = head.event
        tag = _tag_of(event)
        if event.call_id in self._turns_of_call:
            return True
        if tag in self._turns_of_tag:
            self._held_by_tag.setdefault(tag, set()).add(lane.key)
            return True
        return event.settle and (event.call_id, str(event.params.get("control_id", ""))) in self._unsettled

    def _leave(self, stamped: _Stamped) -> None:
        event = stamped.event
        if self._is_second_end(event):
            self.counts["repeated_ends"] += 1
            return
        entry = self._ownership.get(event.call_id)
        sessions = self._targets(event, entry)
        if entry is None and event.call_id and sessions:
            entry = self._ownership.ensure(event.call_id, sessions[0].project)
        seq = 0
        if entry is not None:
            entry.seq += 1
            seq = entry.seq
        if sessions:
            self._send(stamped, seq, sessions)
        else:
            self.counts["unheard"] += 1
        self._note(event, entry)

    def _targets(self, event: OutgoingEvent, entry: CallEntry | None) -> list[Session]:
        names = [event.session] if event.session else entry.audience if entry is not None else []
        found = [self._sessions.get(name) for name in names]
        return [session for session in found if session is not None]

    def _send(self, stamped: _Stamped, seq: int, sessions: list[Session]) -> None:
        event = stamped.event
        event_id = new_event_id()
        stored = []
        for session in sessions:
            session_seq = session.delivery.number()
            params = envelope(event, session, self._settings.space_id, stamped.at)
            params["seq"] = seq
            params["session_seq"] = session_seq
            try:
                frame = dump_frame(Request(event_id, methods.EVENT, params))
            except (TypeError, ValueError):
                log.exception("event cannot be written as JSON", event_type=event.event_type)
                self.counts["unwritable"] += 1
                return
            self.on_leave(session, event, event_id, session_seq)
            stored.append(
                StoredEvent(
                    session.protocol, session_seq, event_id, event.call_id, seq, event.event_type, stamped.at, frame
                )
            )

        lane = _tag_of(event) or event.call_id

        def deliver(written: asyncio.Future[None]) -> None:
            self.counts["unjournalled"] += written.exception() is not None
            for session, kept in zip(sessions, stored, strict=True):
                session.delivery.deliver(kept, lane, is_synced=not event.durable)

        def synced(_: asyncio.Future[None]) -> None:  # or there is no sync to wait for
            for session, kept in zip(sessions, stored, strict=True):
                session.delivery.synced(kept)

        self._journal.append(stored).add_done_callback(deliver)
        if event.durable:
            self._journal.sync().add_done_callback(synced)

    # --- what the journal must know of the call ---

    def _note(self, event: OutgoingEvent, entry: CallEntry | None) -> None:
        """In the same tick as the append, so that both are in one transaction."""
        self.dials.left(event)
        self._note_control(event)
        if event.event_type != STATE_EVENT or entry is None or (event.session and event.session != entry.session):
            return
        if event.params.get("call_state") == "ended":
            self._closed_before.pop(event.call_id, None)
            self._controls.pop(event.call_id, None)
            self._ownership.end(event.call_id, asyncio.get_running_loop().time())
        else:
            entry.state = event.params
            self._ownership.save(entry)

    def _note_control(self, event: OutgoingEvent) -> None:
        of_call = self._controls.get(event.call_id)
        if of_call is None or (control := of_call.get(str(event.params.get("control_id", "")))) is None:
            return
        spec = spec_of(control.method)
        if spec is None:
            return
        if spec.ends_with(event.event_type, event.params):
            del of_call[control.control_id]
            self._journal.close_control(control.call_id, control.control_id)
        elif state := spec.state_told_by(event.event_type, event.params):
            of_call[control.control_id] = msgspec.structs.replace(control, state=state)
            self._journal.note_control(control.call_id, control.control_id, state)

    def open_control(self, call_id: str, control_id: str, method: str, session: str) -> None:
        """A command was accepted; if it started a verb, that must end once, whatever happens to this process."""
        if not call_id or not control_id or spec_of(method) is None:
            return
        entry = self._ownership.get(call_id)
        if entry is not None and entry.over_at is not None:
            return
        of_call = self._controls.setdefault(call_id, {})
        if control_id in of_call and of_call[control_id].method == method:  # asked for again: it runs already
            return
        control = of_call[control_id] = OpenControl(call_id, control_id, method, session)
        if call_id in self._closed_before:
            self._closed_before[call_id].discard(control_id)
        self._journal.open_control(control)

    def running_on(self, call_id: str) -> list[str]:
        """The ``control_id`` of each verb that was accepted and has not ended."""
        return list(self._controls.get(call_id, ()))

    @property
    def open_controls(self) -> int:
        """How many accepted verbs have not ended."""
        return sum(map(len, self._controls.values()))

    def recover(self, call_id: str, controls: Collection[OpenControl]) -> None:
        """Go on with a call of a node that ran before; what ended there must not end again."""
        self._closed_before[call_id] = {control.control_id for control in controls if control.is_closed}
        for control in controls:
            if not control.is_closed:
                self._controls.setdefault(call_id, {})[control.control_id] = control

    def _is_second_end(self, event: OutgoingEvent) -> bool:
        closed = self._closed_before.get(event.call_id)
        return closed is not None and str(event.params.get("control_id", "")) in closed


def _tag_of(event: OutgoingEvent) -> str:
    return event.tag or str(event.params.get("tag", ""))


def _take_one(counter: Counter[str], key: str) -> None:
    """Its keys are those that count at least one."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]


def envelope(event: OutgoingEvent, session: Session, space_id: str, at: float) -> dict[str, Any]:
    """Params of ``signalwire.event`` (relay-protocol 1.5)."""
    params: dict[str, Any] = {
        "event_type": event.event_type,
        "event_channel": session.protocol,
        "timestamp": at,
        "project_id": session.project,
        "space_id": space_id,
    }
    if event.event_type == RECEIVE_EVENT:
        params["context"] = event.params.get("context", "")
    params["params"] = event.params
    return params
