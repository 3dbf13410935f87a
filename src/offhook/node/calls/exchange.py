"""Where engine and calls meet: reports find their leg, INVITEs become calls, dials become legs, restarts adopt."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Any, Self

import structlog

from offhook.errors import CallerError, CommandRefused, EngineLost, EngineRefused
from offhook.node.calls.call import Call, CallIdentity, now_ms
from offhook.node.calls.devices import DevicePlanner, ResolveHost, resolve_host
from offhook.node.calls.dialing import AdoptedDial, Dialing, DialRequest, dial_failed
from offhook.node.calls.directory import CallDirectory
from offhook.node.calls.endings import Ending, end_params, ending_of
from offhook.node.calls.label import CallLabel, OpenAction, parse_label
from offhook.node.calls.leg import Leg
from offhook.node.calls.ports import EventSink, OfferDesk, OutgoingEvent, PastEnd
from offhook.node.calls.routing import RoutingTable
from offhook.node.calls.settings import CallSettings
from offhook.node.calls.supervisor import Supervisor
from offhook.node.calls.uris import SipUri, is_phone_number, parse_party, sip_data
from offhook.node.engine.ops import Ack, LegHangup, Ping, Stop
from offhook.node.engine.port import EnginePort
from offhook.node.engine.reports import (
    AnyReport,
    DigitReport,
    LegAnswered,
    LegChanged,
    LegEnded,
    LegIncoming,
    LegProgress,
    LegSnapshot,
    OperationEnded,
    OperationStarted,
    Welcome,
)
from offhook.protocol.codes import ResultCode
from offhook.protocol.states import CallState, Direction, EndReason, EndSource
from offhook.protocol.verbs.dial import EVENT as DIAL_EVENT

__all__ = ["Exchange", "OrphanRenderer"]

log = structlog.get_logger(__name__)

OrphanRenderer = Callable[[Call, OpenAction], None]
"""Emits the terminal events (``error``) of an action whose verb went with a former node."""

_ACK_EVERY_S = 0.1


class Exchange:
    """Owns the calls of a node. Use it as an async context; ``attach`` connects the engine.

    ``on_orphan`` must be set (the verb registry does) before ``attach``.
    """

    def __init__(
        self,
        engine: EnginePort,
        sink: EventSink,
        desk: OfferDesk,
        settings: CallSettings,
        *,
        resolve: ResolveHost = resolve_host,
        wall_ms: Callable[[], int] = now_ms,
    ) -> None:
        self.engine = engine
        self.sink = sink
        self.settings = settings
        self.calls = CallDirectory(settings.limits.ended_kept_s)
        self.planner = DevicePlanner(settings, resolve)
        self.on_orphan: OrphanRenderer | None = None
        self.desk = desk
        self.adopted: set[str] = set()
        """Ids of the calls that were taken over from a former node; each says its own end."""
        self.past: dict[str, PastEnd] = {}
        """How calls of a former node ended before this one came, by their ids; whoever knows them says it."""
        self.wall_ms = wall_ms
        self._routing = RoutingTable(settings.routes)
        self._supervisor = Supervisor()
        self._dials: dict[tuple[str, str], Dialing] = {}
        self._last_seq = 0
        self._acked = 0
        self._acks = asyncio.Event()
        self._acker: asyncio.Task[None] | None = None
        self._boot = ""
        self._held: list[AnyReport] | None = None
        self._living: set[asyncio.Task[None]] = set()
        self._dialling: set[asyncio.Task[None]] = set()
        self._is_attached = False
        self._attaching = asyncio.Lock()
        self._is_stopping = False
        self._is_closed = False

    async def __aenter__(self) -> Self:
        await self._supervisor.__aenter__()
        self._acker = self._supervisor.spawn(self._ack(), "ack")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all calls politely and wait for them."""
        self._is_stopping = True
        stopping = Ending(EndReason.HANGUP, EndSource.NONE, detail="node_stopping", text="The node is stopping")
        for dialing in self._dials.values():
            dialing.give_up(stopping)
        self.end_all(stopping)
        while under_way := self._living | self._dialling:
            await asyncio.wait(under_way)
        if self._acker is not None:
            self._acker.cancel()
        self._is_closed = True
        await self._supervisor.__aexit__(kind, error, trace)

    def end_all(self, ending: Ending) -> None:
        """Begin to end every call."""
        for call in self.calls:
            call.end(ending)

    # --- the engine ------------------------------------------------------------------------------------------

    async def attach(self, on_lost: Callable[[EngineLost], None] | None = None) -> Welcome:
        """Connect the engine, or connect it again; adopt what lives there, end what does not.

        ``on_lost`` is called when the connection goes; then ``attach`` again.
        """
        async with self._attaching:
            return await self._attach(on_lost)

    async def _attach(self, on_lost: Callable[[EngineLost], None] | None) -> Welcome:
        self._held = []
        welcome = await self.engine.start(self.report, last_seq=self._last_seq, on_lost=on_lost)
        await self.engine.execute(Ping(self.engine.next_id()))  # its reply stands behind the kept reports
        if self._boot and welcome.boot != self._boot:
            self._last_seq = self._acked = 0
            for call in self.calls:
                call.lost()
        self._boot = welcome.boot
        self._reconcile(welcome)
        held, self._held = self._held, None
        for report in held:
            self.report(report)
        await asyncio.sleep(0)  # calls that were taken up have begun to run before anyone commands them
        return welcome

    def engine_died(self) -> None:
        """The engine is gone for good: every call ends ``error``, ``node_failure``."""
        for call in self.calls:
            call.lost()

    def report(self, report: AnyReport) -> None:
        """Take a report of the engine: the sink of its port."""
        if self._is_closed:
            return
        if self._held is not None:
            self._held.append(report)
            return
        match report:
            case LegIncoming():
                self._incoming(report)
            case LegProgress() | LegAnswered() | LegChanged() | LegEnded():
                if call := self.calls.by_leg(report.leg):
                    _tell(call, report)
            case DigitReport() | OperationStarted() | OperationEnded():
                if call := self.calls.by_leg(report.leg):
                    call.leg.receive(report)
            case _:
                pass
        if report.seq > self._last_seq:
            self._last_seq = report.seq
            self._acks.set()

    async def _ack(self) -> None:
        """Ten times a second is enough: the engine keeps megabytes."""
        while True:
            await self._acks.wait()
            await asyncio.sleep(_ACK_EVERY_S)
            self._acks.clear()
            seq = self._last_seq
            await self.sink.journalled()
            if seq > self._acked and seq <= self._last_seq:
                self._acked = seq
                self.engine.send(Ack(seq))

    # --- inbound ---------------------------------------------------------------------------------------------

    def _incoming(self, report: LegIncoming) -> None:
        if self.calls.by_leg(report.leg) is not None:  # replayed, and adopted from the snapshot
            return
        if self._is_stopping:
            self._refuse(report.leg, 503, "The node is stopping")
            return
        try:
            dialled = parse_party(report.request_uri)
        except CallerError as error:
            self._refuse(report.leg, 416, str(error))
            return
        context = self._routing.context_of(dialled)
        if context is None:
            self._refuse(report.leg, 404, self._routing.advice(dialled))
            return
        leg = Leg(self.engine, report.leg, Direction.INBOUND)
        headers = {header.name.lower(): header.value for header in report.headers}
        identity = CallIdentity(
            call_id=str(uuid.uuid4()),
            segment_id=str(uuid.uuid4()),
            direction=Direction.INBOUND,
            device=_inbound_device(report, dialled),
            context=context,
            sip_data=sip_data(
                request=report.request_uri, from_uri=report.from_uri, to_uri=report.to_uri, headers=headers
            ),
        )
        call = Call(identity, leg, self.sink, self.settings, start_time=report.at_us // 1000, wall_ms=self.wall_ms)
        self.take(call)
        call.relabel()
        self.desk.offer(call)

    def _refuse(self, leg: str, status: int, text: str) -> None:
        log.warning("incoming call refused", status=status)
        self._supervisor.spawn(self._refuse_leg(leg, status, text), "refuse")

    async def _refuse_leg(self, leg: str, status: int, text: str) -> None:
        try:
            await self.engine.execute(LegHangup(self.engine.next_id(), leg, status, text))
        except (EngineRefused, EngineLost) as error:
            log.warning("incoming call not refused", reason=str(error))

    # --- calls -----------------------------------------------------------------------------------------------

    def take(self, call: Call) -> asyncio.Task[None]:
        """Register a call and run it; the task ends after its ``ended``."""
        self.calls.add(call)
        if call.dialled_by:
            self.desk.assign(call.call_id, call.dialled_by)
        task = self._supervisor.spawn(self._live(call), f"call {call.call_id}")
        self._living.add(task)
        task.add_done_callback(self._living.discard)
        return task

    async def _live(self, call: Call) -> None:
        try:
            await call.run()
        finally:
            self.calls.remove(call)
            self.desk.forget(call.call_id)

    def dial(self, request: DialRequest) -> None:
        """Begin to dial. The same request with a tag that is being dialled changes nothing.

        Raises:
            CommandRefused: a device can never be called, or the tag is in use.
        """
        for device in (device for group in request.groups for device in group):
            self.planner.check(device)
        key = (request.session, request.tag)
        if running := self._dials.get(key):
            if running.request == request:
                return
            raise CommandRefused(ResultCode.CONFLICT, "This tag is being dialled: choose another `tag`")
        self._dials[key] = dialing = Dialing(request, self, self.planner)
        task = self._supervisor.spawn(self._dial(key, dialing), "dial")
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial(self, key: tuple[str, str], dialing: Dialing) -> None:
        try:
            await dialing.run()
        finally:
            del self._dials[key]

    def cancel_dials(self, session: str, why: str) -> None:
        """Give up what a session dials. ``why``: a sentence."""
        ending = Ending(EndReason.CANCEL, EndSource.OUTBOUND, detail="orphan", text=why)
        for (owner, _), dialing in self._dials.items():
            if owner == session:
                dialing.give_up(ending)

    # --- adoption --------------------------------------------------------------------------------------------

    def _reconcile(self, welcome: Welcome) -> None:
        live = {snapshot.leg for snapshot in welcome.legs}
        begun = {report.leg for report in self._held or () if isinstance(report, LegIncoming)}
        ended = {report.leg: report for report in self._held or () if isinstance(report, LegEnded)}
        for call in self.calls:
            if call.leg.id not in live | ended.keys():
                call.lost()
        texts = {leg: report.label for leg, report in ended.items()} | {leg.leg: leg.label for leg in welcome.legs}
        labels = {leg: parse_label(text) for leg, text in texts.items()}
        failed = {(label.dialled_by, label.tag) for label in labels.values() if label is not None and label.answer_time}
        ringing = {
            (label.dialled_by, label.tag): AdoptedDial(self)
            for leg in live
            if (label := labels[leg]) is not None and label.rings_last and not label.answer_time
        }
        if not self._is_attached:
            self._is_attached = True
            for report in ended.values():
                if report.leg not in live:
                    self._remember_end(report, labels[report.leg], failed, ringing.keys())
        for snapshot in welcome.legs:
            label = labels[snapshot.leg]
            if (known := self.calls.by_leg(snapshot.leg)) is not None:
                self._meet_again(known, snapshot)
            elif label is not None and self.calls.has_ended(label.call_id):
                self._refuse(snapshot.leg, 503, "The node had given up this call")
            elif label is not None:
                self._adopt(snapshot, label, failed, ringing)
            elif snapshot.leg not in begun:  # else its LegIncoming makes it a call
                self._refuse(snapshot.leg, 503, "The node was restarted before it knew this call")

    def _meet_again(self, call: Call, snapshot: LegSnapshot) -> None:
        """The connection was away, the engine was not: what got lost on the way is said again."""
        for operation in snapshot.operations:
            if not call.leg.runs(operation.id):
                self.engine.send(Stop(self.engine.next_id(), operation.id))
        call.relabel()

    def _adopt(
        self,
        snapshot: LegSnapshot,
        label: CallLabel,
        failed: set[tuple[str, str]],
        ringing: Mapping[tuple[str, str], AdoptedDial],
    ) -> None:
        call = self._restored(snapshot, label)
        self.adopted.add(call.call_id)
        key = (label.dialled_by, label.tag)
        if call.state is not CallState.ANSWERED and key in ringing and key not in failed:
            ringing[key].take(call)
            call.relabel()
            return
        self.take(call)
        for operation in snapshot.operations:  # their verbs are gone, so nobody could stop them any more
            self.engine.send(Stop(self.engine.next_id(), operation.id))
        for action in label.actions:
            if self.on_orphan is not None:
                self.on_orphan(call, action)
        call.relabel()
        if call.state is CallState.ANSWERED:
            return
        if call.identity.direction is Direction.INBOUND:
            self.desk.offer(call)
            return
        ending = Ending(EndReason.ERROR, EndSource.NONE, detail="node_failure", text="The node was restarted")
        call.claim = lambda _: False
        call.end(ending)
        for event in self._failed_dial(label, ending, failed):
            self.sink.emit(event)

    def _remember_end(
        self,
        report: LegEnded,
        label: CallLabel | None,
        failed: set[tuple[str, str]],
        ringing: Collection[tuple[str, str]],
    ) -> None:
        """A call that ended while no node was there."""
        if label is None:
            return
        ending = ending_of(report, label.direction)
        is_dialled = label.direction is Direction.OUTBOUND and not label.answer_time
        is_dialled = is_dialled and (label.dialled_by, label.tag) not in ringing
        events = self._failed_dial(label, ending, failed) if is_dialled else []
        end_time = report.at_us // 1000 or self.wall_ms()
        self.past[label.call_id] = PastEnd(end_params(ending) | {"end_time": end_time}, events)

    def _failed_dial(self, label: CallLabel, ending: Ending, failed: set[tuple[str, str]]) -> list[OutgoingEvent]:
        """A dial fails once, and not when one of its legs was answered (``failed`` has both)."""
        key = (label.dialled_by, label.tag)
        if key in failed:
            return []
        failed.add(key)
        params = dial_failed(self.settings.node_id, label.tag, ending)
        return [OutgoingEvent(DIAL_EVENT, params, tag=label.tag, session=label.dialled_by)]

    def _restored(self, snapshot: LegSnapshot, label: CallLabel) -> Call:
        identity = CallIdentity(
            call_id=label.call_id,
            segment_id=label.segment_id,
            direction=Direction(snapshot.direction),
            device=label.device,
            context=label.context,
            sip_data=sip_data(request=snapshot.to_uri, from_uri=snapshot.from_uri, to_uri=snapshot.to_uri, headers={}),
        )
        leg = Leg(self.engine, snapshot.leg, identity.direction)
        start_time = label.start_time or snapshot.started_us // 1000
        call = Call(identity, leg, self.sink, self.settings, tag=label.tag, start_time=start_time, wall_ms=self.wall_ms)
        state = CallState.RINGING if snapshot.state != "trying" else CallState.CREATED
        if label.answer_time:  # else the kept LegAnswered follows
            state = CallState.ANSWERED
        call.restore(label, state)
        return call


def _tell(call: Call, report: LegProgress | LegAnswered | LegChanged | LegEnded) -> None:
    match report:
        case LegProgress():
            call.progressed(report)
        case LegAnswered():
            call.answered(report)
        case LegChanged():
            call.changed(report)
        case LegEnded():
            call.over(report)


def _inbound_device(report: LegIncoming, dialled: SipUri) -> dict[str, Any]:
    """``phone`` when both sides are numbers, else ``sip``. Headers: those that a program may set itself."""
    try:
        sender = parse_party(report.from_uri)
    except CallerError:  # another scheme: it has no number, and is shown as it is
        sender = None
    if sender and is_phone_number(sender.number) and is_phone_number(dialled.number):
        params: dict[str, Any] = {"from_number": sender.number, "to_number": dialled.number}
        kind = "phone"
    else:
        params = {"from": str(sender or report.from_uri), "to": str(dialled)}
        kind = "sip"
    headers = [{"name": h.name, "value": h.value} for h in report.headers if h.name.lower().startswith("x-")]
    if headers:
        params["headers"] = headers[:16]
    return {"type": kind, "params": params}
