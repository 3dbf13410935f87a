"""Where engine and calls meet: reports find their leg, INVITEs become calls, dials become legs, restarts adopt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

from offhook.errors import CommandRefused, EngineLost, EngineRefused
from offhook.node.calls.adoption import Adoption
from offhook.node.calls.call import Call
from offhook.node.calls.caps import OutboundCaps
from offhook.node.calls.devices import DevicePlanner
from offhook.node.calls.dialing import Dialing, DialRequest
from offhook.node.calls.directory import CallDirectory
from offhook.node.calls.endings import Ending
from offhook.node.calls.identity import now_ms
from offhook.node.calls.inbound import InboundCalls, TurnedAway
from offhook.node.calls.label import Inherited
from offhook.node.calls.overload import Overload
from offhook.node.calls.ports import Client, EventSink, OfferDesk, PastEnd, ResolveHost
from offhook.node.calls.settings import CallSettings
from offhook.node.calls.sip import Status
from offhook.node.calls.walled_tasks import WalledTasks
from offhook.node.engine.ops import Ack, LegHangup, Ping
from offhook.node.engine.port import EnginePort
from offhook.node.engine.reports import (
    AnyReport,
    DigitReport,
    LegAnswered,
    LegChanged,
    LegEnded,
    LegIncoming,
    LegProgress,
    OperationEnded,
    OperationStarted,
    Stats,
    Welcome,
)
from offhook.protocol.codes import ResultCode
from offhook.protocol.states import EndReason, EndSource

__all__ = ["Exchange", "OrphanRenderer"]

log = structlog.get_logger(__name__)

OrphanRenderer = Callable[[Call, Inherited], bool]
"""Takes over an action whose verb went with a former node, if its operation runs: then it is true. Else its terminal
events (``error``) are emitted."""

_ACK_EVERY_S = 0.1
_GIVEN_UP = "The node failed on this call; its log says why"
_OfCall = LegProgress | LegAnswered | LegChanged | LegEnded | DigitReport | OperationStarted | OperationEnded
_OfLeg = LegIncoming | _OfCall


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
        resolve: ResolveHost,
        wall_ms: Callable[[], int] = now_ms,
    ) -> None:
        self.engine = engine
        self.sink = sink
        self.settings = settings
        self.calls = CallDirectory(settings.limits.ended_kept_s)
        self.planner = DevicePlanner(settings, resolve)
        self.caps = OutboundCaps(settings)
        self.overload = Overload(settings.overload)
        self.on_orphan: OrphanRenderer | None = None
        self.desk = desk
        self.adopted: set[str] = set()
        """Ids of the calls that were taken over from a former node; each says its own end."""
        self.dialling: set[tuple[str, str]] = set()
        """Sessions and tags of the dials of a former node that go on."""
        self.past: dict[str, PastEnd] = {}
        """How calls of a former node ended before this one came, by their ids; whoever knows them says it."""
        self.wall_ms = wall_ms
        self.failures = 0
        """Reports, legs and calls that failed in a way nobody foresaw: each ended its call."""
        self._inbound = InboundCalls(engine, sink, settings, wall_ms)
        self._tasks = WalledTasks()
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
        await self._tasks.__aenter__()
        self._acker = self._tasks.spawn(self._ack(), "ack")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all calls politely and wait for them."""
        self._is_stopping = True
        stopping = Ending(EndReason.HANGUP, EndSource.NONE, detail="node_stopping", text="The node is stopping")
        for dialing in self._dials.values():
            dialing.hunt.give_up(stopping)
        self.end_all(stopping)
        while under_way := self._living | self._dialling:
            await asyncio.wait(under_way)
        if self._acker is not None:
            self._acker.cancel()
        self._is_closed = True
        await self._tasks.__aexit__(kind, error, trace)

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
        adoption = Adoption(self, welcome, self._held or ())
        adoption.run(is_first=not self._is_attached)
        self.dialling = set(adoption.ringing)
        self._is_attached = True
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
            case LegIncoming() | DigitReport() | OperationStarted() | OperationEnded():
                self._handle(report)
            case LegProgress() | LegAnswered() | LegChanged() | LegEnded():
                self._handle(report)
            case Stats():
                self.overload.heard(report, self.overload.clock())
            case _:
                pass
        if report.seq > self._last_seq:
            self._last_seq = report.seq
            self._acks.set()

    def _handle(self, report: _OfLeg) -> None:
        """A report that cannot be handled costs its call alone; it is acked, or it would come again for ever."""
        try:
            if isinstance(report, LegIncoming):
                self._incoming(report)
            elif call := self.calls.by_leg(report.leg):
                _tell(call, report)
        except Exception:
            log.exception("report not handled", report=type(report).__name__)
            self.give_up(report.leg, is_over=isinstance(report, LegEnded))

    def give_up(self, leg: str, *, is_over: bool = False) -> None:
        """End the call of a leg on which something failed. ``is_over``: the engine has it no more."""
        self.failures += 1
        call = self.calls.by_leg(leg)
        if call is None:
            self.refuse(leg, Status.SERVER_INTERNAL_ERROR, _GIVEN_UP)
        elif is_over:
            call.lost("report_failed")
        else:
            call.end(Ending(EndReason.ERROR, EndSource.NONE, detail="report_failed", text=_GIVEN_UP))

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
                self.engine.send(Ack(seq), patient=True)

    # --- inbound ---------------------------------------------------------------------------------------------

    def _incoming(self, report: LegIncoming) -> None:
        if self.calls.by_leg(report.leg) is not None:  # replayed, and adopted from the snapshot
            return
        if self._is_stopping:
            self.refuse(report.leg, Status.SERVICE_UNAVAILABLE, "The node is stopping")
            return
        if why := self.overload.refuses():
            self.refuse(report.leg, Status.SERVICE_UNAVAILABLE, why)
            return
        try:
            call = self._inbound.call_of(report)
        except TurnedAway as turned:
            self.refuse(report.leg, turned.status, turned.text)
            return
        self.take(call)
        call.relabel()
        self.desk.offer(call)

    def refuse(self, leg: str, status: int, text: str) -> None:
        """End a leg that has no call."""
        log.warning("incoming call refused", status=status)
        self._tasks.spawn(self._refuse_leg(leg, status, text), "refuse")

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
            self.desk.assign(call.call_id, Client(call.dialled_by))
        task = self._tasks.spawn(self._live(call), f"call {call.call_id}")
        self._living.add(task)
        task.add_done_callback(self._living.discard)
        return task

    async def _live(self, call: Call) -> None:
        try:
            await call.run()
        except Exception:
            self.failures += 1
            call.fail()
            raise  # to the wall of the task
        finally:
            if call.dialled_by:
                self.caps.release(call.dialled_by, to_trunk=call.is_on_trunk, call_id=call.call_id)
            self.calls.remove(call)
            self.desk.forget(call.call_id)
            if not call.leg.over.done() and not self._is_closed:
                self.refuse(call.leg.id, Status.SERVER_INTERNAL_ERROR, _GIVEN_UP)

    def dial(self, request: DialRequest) -> None:
        """Begin to dial. The same request with a tag that is being dialled changes nothing.

        Raises:
            CommandRefused: a device can never be called, or the tag is in use.
        """
        for device in (device for group in request.hunt.groups for device in group):
            self.planner.check(device)
        if running := self._dials.get(_key(request)):
            if running.request == request:
                return
            raise CommandRefused(ResultCode.CONFLICT, "This tag is being dialled: choose another `tag`")
        dialing = Dialing(request, self, self.planner)
        self._begin(dialing, dialing.run())

    def go_on(self, dialing: Dialing) -> None:
        """Take up a dial of a former node; more of its calls may follow until it runs."""
        if self._dials.get(_key(dialing.request)) is not dialing:
            self._begin(dialing, dialing.go_on())

    def _begin(self, dialing: Dialing, work: Coroutine[Any, Any, None]) -> None:
        self._dials[_key(dialing.request)] = dialing
        task = self._tasks.spawn(self._dial(dialing, work), "dial")
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial(self, dialing: Dialing, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            if self._dials.get(_key(dialing.request)) is dialing:
                del self._dials[_key(dialing.request)]

    def cancel_dials(self, session: str, why: str) -> None:
        """Give up what a session dials. ``why``: a sentence."""
        ending = Ending(EndReason.CANCEL, EndSource.OUTBOUND, detail="orphan", text=why)
        for (owner, _), dialing in self._dials.items():
            if owner == session:
                dialing.hunt.give_up(ending)


def _key(request: DialRequest) -> tuple[str, str]:
    return request.hunt.session, request.hunt.tag


def _tell(call: Call, report: _OfCall) -> None:
    match report:
        case DigitReport() | OperationStarted() | OperationEnded():
            call.leg.receive(report)
        case LegProgress():
            call.progressed(report)
        case LegAnswered():
            call.answered(report)
        case LegChanged():
            call.changed(report)
        case LegEnded():
            call.over(report)
