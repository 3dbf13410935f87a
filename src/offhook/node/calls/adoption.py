"""A node meets an engine, for the first time or again: what lives there is taken up, what does not ends, once each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog

from offhook.node.calls.call import Call
from offhook.node.calls.dialing import Dialing, DialRequest, dial_failed
from offhook.node.calls.endings import Ending, end_params, ending_of
from offhook.node.calls.hunt import HuntRequest
from offhook.node.calls.identity import CallIdentity
from offhook.node.calls.label import CallLabel, Inherited, parse_label
from offhook.node.calls.leg import Leg
from offhook.node.calls.ports import OutgoingEvent, PastEnd, Told
from offhook.node.calls.sip import Status, sip_data
from offhook.node.calls.uris import party_of
from offhook.node.engine.ops import Stop
from offhook.node.engine.reports import (
    AnyReport,
    LegAnswered,
    LegEnded,
    LegIncoming,
    LegProgress,
    LegSnapshot,
    OperationEnded,
    Welcome,
)
from offhook.protocol.states import CallState, Direction, EndReason, EndSource

if TYPE_CHECKING:
    from offhook.node.calls.exchange import Exchange

__all__ = ["Adoption"]

log = structlog.get_logger(__name__)
_DialKey = tuple[str, str]
"""Session and tag."""


class Adoption:
    """One meeting. ``welcome``: what lives in the engine; ``held``: reports that it kept for us.

    A node may die between what it heard, what it told and what it left in the label. The journal says what was told:
    that is not told again, and what was not is told when the report of it, which is kept until then, is handled anew.
    """

    def __init__(self, exchange: Exchange, welcome: Welcome, held: Sequence[AnyReport]) -> None:
        self._exchange = exchange
        self._welcome = welcome
        self._live = {snapshot.leg for snapshot in welcome.legs}
        self._begun = {report.leg for report in held if isinstance(report, LegIncoming)}
        self._over: dict[str, set[int]] = {}
        """Operations of each leg whose end is kept for us."""
        for report in held:
            if isinstance(report, OperationEnded):
                self._over.setdefault(report.leg, set()).add(report.op)
        self._answers = {report.leg for report in held if isinstance(report, LegAnswered)}
        self._rings = {report.leg for report in held if isinstance(report, LegProgress)}
        self._ended = {report.leg: report for report in held if isinstance(report, LegEnded)}
        texts = {leg: report.label for leg, report in self._ended.items()}
        texts |= {snapshot.leg: snapshot.label for snapshot in welcome.legs}
        self._labels = {leg: self._corrected(leg, parse_label(text)) for leg, text in texts.items()}
        known = [label for label in self._labels.values() if label is not None]
        self._told: set[_DialKey] = {_key(label) for label in known if label.answer_time}
        """Dials of which the outcome was told, or is told by their calls."""
        self.ringing: dict[_DialKey, Dialing] = {
            _key(label): _dialing_of(exchange, label)
            for leg in self._live
            if (label := self._labels[leg]) is not None and label.rings_last and not label.answer_time
        }
        """Dials that go on."""

    def _corrected(self, leg: str, label: CallLabel | None) -> CallLabel | None:
        """With the answer that was told, or without one that was not and is to be handled anew."""
        told = None if label is None else self._exchange.sink.told(label.call_id)
        if label is None or told is None:
            return label
        if told_at := told.state.get("answer_time"):
            is_winner = label.dial_winner or "dial_winner" in told.state
            return msgspec.structs.replace(label, answer_time=told_at, dial_winner=is_winner)
        if leg in self._answers:
            return msgspec.structs.replace(label, answer_time=0, dial_winner=False)
        return label

    def run(self, *, is_first: bool) -> None:
        """Settle every leg and call; ``is_first``: this node has met no engine before."""
        for call in self._exchange.calls:
            if call.leg.id not in self._live | self._ended.keys():
                call.lost()
        if is_first:
            for report, label in self._past():
                self._remember_end(report, label)
        for snapshot in self._welcome.legs:
            try:
                self._settle(snapshot)
            except Exception:  # a leg that cannot be taken over costs itself alone
                log.exception("leg not taken over")
                self._exchange.give_up(snapshot.leg)

    def _settle(self, snapshot: LegSnapshot) -> None:
        exchange, label = self._exchange, self._labels[snapshot.leg]
        if (known := exchange.calls.by_leg(snapshot.leg)) is not None:
            self._meet_again(known, snapshot)
        elif label is not None and exchange.calls.has_ended(label.call_id):
            exchange.refuse(snapshot.leg, Status.SERVICE_UNAVAILABLE, "The node had given up this call")
        elif label is not None:
            self._adopt(snapshot, label)
        elif snapshot.leg not in self._begun:  # else its LegIncoming makes it a call
            exchange.refuse(snapshot.leg, Status.SERVICE_UNAVAILABLE, "The node was restarted before it knew this call")

    def _meet_again(self, call: Call, snapshot: LegSnapshot) -> None:
        """The connection was away, the engine was not: what got lost on the way is said again."""
        for operation in snapshot.operations:
            if not call.leg.runs(operation.id):
                self._stop(operation.id)
        call.relabel()

    def _adopt(self, snapshot: LegSnapshot, label: CallLabel) -> None:
        told = self._exchange.sink.told(label.call_id) or Told()
        if told.state.get("call_state") == CallState.CREATED and snapshot.leg in self._rings:
            snapshot = msgspec.structs.replace(snapshot, state="trying")
        call = _restored(self._exchange, snapshot, label)
        if call.dialled_by:
            self._exchange.caps.count(call.dialled_by, to_trunk=call.is_on_trunk)
            if call.state is CallState.ANSWERED:
                self._exchange.caps.answered(call.call_id, to_trunk=call.is_on_trunk)
        self._exchange.adopted.add(call.call_id)
        if told.state.get("call_state") == CallState.ENDING:
            call.go_on_ending(*_told_end(told))
        key = _key(label)
        if call.state is not CallState.ANSWERED and key in self.ringing and key not in self._told:
            dialing = self.ringing[key]
            dialing.hunt.follow(call)
            self._exchange.go_on(dialing)
            call.relabel()
            return
        self._exchange.take(call)
        self._adopt_actions(call, snapshot, label, told)
        call.relabel()
        if call.state is CallState.ANSWERED or call.is_ending:
            return
        if call.identity.direction is Direction.INBOUND:
            if snapshot.leg not in self._answers:  # else it is answered, which is handled next
                self._exchange.desk.offer(call)
            return
        ending = Ending(EndReason.ERROR, EndSource.NONE, detail="node_failure", text="The node was restarted")
        call.end(ending)
        for event in self._failed_dial(label, ending):
            self._exchange.sink.emit(event)

    def _adopt_actions(self, call: Call, snapshot: LegSnapshot, label: CallLabel, told: Told) -> None:
        running = {operation.id: operation.prompts for operation in snapshot.operations}
        over = self._over.get(snapshot.leg, set())
        for action in label.actions:
            inherited = Inherited(
                action,
                action.operation in running or action.operation in over,
                running.get(action.operation, []),
                told.actions.get(action.control_id, ""),
            )
            if self._exchange.on_orphan is not None and self._exchange.on_orphan(call, inherited):
                running.pop(action.operation, None)
        for operation in running:  # their verbs are gone, so nobody could stop them any more
            self._stop(operation)

    def _stop(self, operation: int) -> None:
        engine = self._exchange.engine
        engine.send(Stop(engine.next_id(), operation))

    def _past(self) -> Iterable[tuple[LegEnded, CallLabel]]:
        """Calls that ended while no node was there. One whose leg was not served may have had another leg after it."""
        live = {label.call_id for leg in self._live if (label := self._labels[leg]) is not None}
        last: dict[str, tuple[LegEnded, CallLabel]] = {}
        for report in self._ended.values():
            label = self._labels[report.leg]
            if label is not None and label.call_id not in live:
                last[label.call_id] = (report, label)
        return last.values()

    def _remember_end(self, report: LegEnded, label: CallLabel) -> None:
        """A call that ended while no node was there."""
        ending = ending_of(report, label.direction)
        is_dialled = label.direction is Direction.OUTBOUND and not label.answer_time and _key(label) not in self.ringing
        events = self._failed_dial(label, ending) if is_dialled else []
        end_time = report.at_us // 1000 or self._exchange.wall_ms()
        self._exchange.past[label.call_id] = PastEnd(end_params(ending) | {"end_time": end_time}, events)

    def _failed_dial(self, label: CallLabel, ending: Ending) -> list[OutgoingEvent]:
        """A dial fails once, and not when one of its legs was answered."""
        if _key(label) in self._told:
            return []
        self._told.add(_key(label))
        return [dial_failed(self._exchange.settings.node_id, label.tag, label.dialled_by, ending)]


def _key(label: CallLabel) -> _DialKey:
    return label.dialled_by, label.tag


def _dialing_of(exchange: Exchange, label: CallLabel) -> Dialing:
    hunt = HuntRequest(session=label.dialled_by, tag=label.tag)
    return Dialing(DialRequest(hunt), exchange, exchange.planner)


def _told_end(told: Told) -> tuple[Ending, int]:
    """Why and when a call ends of which clients know that it does."""
    reason, source = EndReason(told.state["end_reason"]), EndSource(told.state["end_source"])
    return Ending(reason, source, detail=told.state.get("end_detail", "")), told.state["end_time"]


def _restored(exchange: Exchange, snapshot: LegSnapshot, label: CallLabel) -> Call:
    to = party_of(snapshot.to_uri)
    identity = CallIdentity(
        call_id=label.call_id,
        segment_id=label.segment_id,
        direction=Direction(snapshot.direction),
        device=label.device,
        context=label.context,
        sip_data=sip_data(request=to, sender=party_of(snapshot.from_uri), to=to, headers={}),
    )
    leg = Leg(exchange.engine, snapshot.leg, identity.direction)
    leg.codec = snapshot.codec
    start_time = label.start_time or snapshot.started_us // 1000
    call = Call(
        identity, leg, exchange.sink, exchange.settings, tag=label.tag, start_time=start_time, wall_ms=exchange.wall_ms
    )
    state = CallState.RINGING if snapshot.state != "trying" else CallState.CREATED
    if label.answer_time:  # else the kept LegAnswered follows
        state = CallState.ANSWERED
    call.restore(label, state, snapshot)
    return call
