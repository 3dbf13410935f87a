"""A call: its state machine, its actions, its events."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, Protocol

import msgspec
import structlog

from offhook.errors import CommandRefused, EngineLost, EngineRefused
from offhook.node.calls.endings import REFUSAL_STATUS, REFUSAL_TEXT, Ending, end_params, ending_of, reason_of_status
from offhook.node.calls.label import MAX_LABEL_BYTES, CallLabel, OpenAction, dump_label
from offhook.node.calls.leg import Leg
from offhook.node.calls.ports import EventSink, OutgoingEvent
from offhook.node.calls.refusals import refusal_of
from offhook.node.calls.settings import CallSettings
from offhook.node.calls.supervisor import Supervisor
from offhook.node.calls.waiting import until_any
from offhook.node.engine.reports import LegAnswered, LegChanged, LegEnded, LegProgress, LegSnapshot
from offhook.protocol.codes import ResultCode
from offhook.protocol.states import CALL_TRANSITIONS, CallState, Direction, EndReason, EndSource
from offhook.protocol.verbs.state import STATE_EVENT

__all__ = ["Call", "CallAction", "CallIdentity", "Cause", "now_ms"]

MAX_LABELLED_URI = 512
_OPERATION_BYTES = 19 + 12
"""What the label of an action grows by once it has its operation (so many digits at most) and its digest."""

log = structlog.get_logger(__name__)


class Cause(Enum):
    """What ended an action. The first one counts."""

    FINISHED = "finished"
    STOPPED = "stopped"
    HANGUP = "hangup"
    ENGINE_LOST = "engine_lost"
    ERROR = "error"


class CallAction(Protocol):
    """A running verb, as its call sees it."""

    @property
    def open_action(self) -> OpenAction:
        """What the label keeps of it."""
        ...

    def end(self, cause: Cause) -> None:
        """Begin to end it; the first cause counts."""
        ...

    async def live(self) -> None:
        """Run until its terminal events are out."""
        ...


class CallIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while a call lives."""

    call_id: str
    segment_id: str
    direction: Direction
    device: dict[str, Any]
    context: str = ""
    sip_data: dict[str, Any] = {}
    parent: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"CallIdentity({self.call_id}, {self.direction.value})"


def now_ms() -> int:
    """Milliseconds of the Unix epoch, for what no engine report dates."""
    return time.time_ns() // 1_000_000


class Call:
    """One live call. ``run`` owns all that happens on it, and returns when ``ended`` is out."""

    def __init__(
        self,
        identity: CallIdentity,
        leg: Leg,
        sink: EventSink,
        settings: CallSettings,
        *,
        tag: str = "",
        start_time: int = 0,
        wall_ms: Callable[[], int] = now_ms,
    ) -> None:
        self.identity = identity
        self.call_id = identity.call_id
        self.context = identity.context
        self.leg = leg
        self.settings = settings
        self.state = CallState.CREATED
        self.tag = tag
        self.dialled_by = ""
        """The session that dialled; empty of a call that came in. Who controls a call is the desk's to know."""
        self.wall_ms = wall_ms
        self.start_time = start_time or wall_ms()
        self.answer_time = 0
        self.end_time = 0
        self.dial_winner = False
        self.rings_last = False
        self.is_on_trunk = False
        self.max_duration_s = 0.0
        self.ring_timeout_s = 0.0
        """Of a leg that we placed."""
        self.actions: dict[str, CallAction] = {}
        self._adopted: dict[str, CallAction] = {}
        self.claim: Callable[[Call], bool] | None = None
        """Asked when an outbound leg was answered: False means that another one won."""
        self.on_answer: Callable[[Call], None] | None = None
        """Called when ``answered`` of an outbound leg is in the outbox."""
        self._dial: Coroutine[Any, Any, None] | None = None
        self.past_actions: deque[str] = deque(maxlen=256)
        """Keys of actions that are over."""
        self.answering: asyncio.Future[None] | None = None
        self._ringing = asyncio.Lock()
        self._rung_for = ""
        self.is_on_hold = False
        self._sink = sink
        self._supervisor = Supervisor()
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when it was answered, or its end began."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._began_at = self._now()
        self._answered_at: float | None = None
        """Times of the loop, by which limits count: nobody sets it."""

    # --- life ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live until the call has ended and said so."""
        if self.state is not CallState.ANSWERED:
            unanswered = Ending(EndReason.NO_ANSWER, EndSource.NONE, detail="ringing_limit", text="Nobody answered")
            self._limit("ringing", self._ringing_s(), unanswered)
        async with self._supervisor:
            if self._dial is not None:
                self._supervisor.spawn(self._place(self._dial), "dial")
            for key, action in self._adopted.items():
                self._supervisor.spawn(self._act(key, action), key)
            self._adopted.clear()
            await until_any(self._ending)
            ending = self._ending.result()
            if self.state is not CallState.ENDING:  # else a former node said so
                self._move(CallState.ENDING)
                self._emit_state()
            if not self.leg.over.done():
                self._supervisor.spawn(self._hang_up(ending), "hangup")
            cause = Cause.ENGINE_LOST if ending.detail == "node_failure" else Cause.HANGUP
            for action in list(self.actions.values()):
                action.end(cause)
        for timer in self._timers.values():
            timer.cancel()
        self._move(CallState.ENDED)
        self._emit_state(durable=True)

    def _ringing_s(self) -> float:
        """How long it may go unanswered. A leg that we placed is the engine's to end, and ours when that is late."""
        limits = self.settings.limits
        spent_s = self._now() - self._began_at
        if self.identity.direction is Direction.INBOUND:
            return max(0.0, limits.ringing_s - spent_s)
        return max(0.0, (self.ring_timeout_s or limits.call_s) - spent_s) + limits.hangup_s

    async def _place(self, dial: Coroutine[Any, Any, None]) -> None:
        try:
            await dial
        except Exception:
            self.end(Ending(EndReason.ERROR, EndSource.NONE, detail="not_dialled", text="The node failed on this dial"))
            raise

    def fail(self) -> None:
        """Say that it ended, when ``run`` failed."""
        self.end(Ending(EndReason.ERROR, EndSource.NONE, detail="call_failed"))
        if self.state is not CallState.ENDED:
            self._move(CallState.ENDED)
            self._emit_state(durable=True)

    def end(self, ending: Ending) -> None:
        """Begin to end the call; the first reason counts."""
        if not self._ending.done():
            self._ending.set_result(ending)
            self.end_time = self.wall_ms()
            self._decide()

    def go_on_ending(self, ending: Ending, end_time: int) -> None:
        """Do what a former node only said. ``end_time``: that which it told, in ms of the Unix epoch."""
        self.end(ending)
        self.state, self.end_time = CallState.ENDING, end_time

    def spawn_dial(self, work: Coroutine[Any, Any, None]) -> None:
        """Give the call the work that places its leg; it starts with ``run``."""
        self._dial = work

    @property
    def ending(self) -> Ending | None:
        """Why it ends, once that is decided."""
        return self._ending.result() if self._ending.done() else None

    @property
    def is_ending(self) -> bool:
        """Whether an end was decided."""
        return self._ending.done()

    async def _hang_up(self, ending: Ending) -> None:
        unanswered = self.answer_time == 0
        status = ending.status or (REFUSAL_STATUS[ending.reason] if unanswered else 0)
        is_refusal = unanswered and self.identity.direction is Direction.INBOUND
        text = ending.text or (REFUSAL_TEXT.get(ending.reason, "") if is_refusal else "")
        try:
            async with asyncio.timeout(self.settings.limits.hangup_s):
                await self.leg.hang_up(status, text)
                await until_any(self.leg.over)
        except (EngineRefused, EngineLost, TimeoutError) as error:
            log.warning("leg not hung up", call_id=self.call_id, error=str(error))
            self.leg.lose("hangup failed")

    # --- actions ---------------------------------------------------------------------------------------------

    def add_action(self, key: str, action: CallAction) -> None:
        """Run an action under the call's supervisor until it is over.

        Raises:
            CommandRefused: too many are open.
        """
        self.actions[key] = action
        without = sum(not open_.open_action.operation for open_ in self.actions.values())
        if len(dump_label(self._label()).encode()) + without * _OPERATION_BYTES > MAX_LABEL_BYTES:
            del self.actions[key]
            raise CommandRefused(
                ResultCode.CONFLICT, "Too many actions are open on this call: stop one first, or use shorter ids"
            )
        self.relabel()
        self._supervisor.spawn(self._act(key, action), f"{key}")

    def adopt_action(self, key: str, action: CallAction) -> None:
        """Go on with an action of a former node once the call runs."""
        self.actions[key] = self._adopted[key] = action

    async def _act(self, key: str, action: CallAction) -> None:
        try:
            await action.live()
        finally:
            self.actions.pop(key, None)
            self.past_actions.append(key)
            self.relabel()

    # --- what happens on the leg -----------------------------------------------------------------------------

    def progressed(self, report: LegProgress) -> None:
        """A provisional response to our INVITE."""
        if report.status in (180, 183) and self.state is CallState.CREATED and not self.is_ending:
            self._move(CallState.RINGING)
            self._emit_state()

    def answered(self, report: LegAnswered) -> None:
        """Media flows."""
        if self.is_ending or self.state is CallState.ANSWERED:
            return
        self.leg.receive(report)
        self.answer_time = report.at_us // 1000 or self.wall_ms()
        if self._answered_at is None:  # else it came while no node was there, which the engine says how long ago was
            self._answered_at = self._now()
        if self.claim is not None and not self.claim(self):
            self.end(Ending(EndReason.CANCEL, EndSource.OUTBOUND, text="Answered elsewhere"))
            return
        if timer := self._timers.pop("ringing", None):
            timer.cancel()
        self._move(CallState.ANSWERED)
        self._decide()
        self._limit_duration()
        self.relabel()
        self._emit_state(durable=True)
        if self.on_answer is not None:
            self.on_answer(self)

    def changed(self, report: LegChanged) -> None:
        """The peer put us on hold, or took us off, or changed its codec or address."""
        self.leg.receive(report)
        if report.hold:
            self._hold(0.0)
        else:
            self.is_on_hold = False
            if timer := self._timers.pop("hold", None):
                timer.cancel()

    def _hold(self, spent_s: float) -> None:
        """The limit counts from the first that was heard of it, however often it is said again."""
        if not self.is_on_hold:
            self.is_on_hold = True
            ending = Ending(EndReason.MAX_DURATION, EndSource.NONE, detail="hold_limit", text="On hold for too long")
            self._limit("hold", max(0.0, self.settings.limits.hold_s - spent_s), ending)

    def over(self, report: LegEnded) -> None:
        """The leg is gone."""
        self.end(ending_of(report, self.identity.direction))
        if report.at_us:
            self.end_time = report.at_us // 1000
        self.leg.receive(report)

    def lost(self, detail: str = "node_failure") -> None:
        """The engine went, and the leg with it."""
        self.end(Ending(EndReason.ERROR, EndSource.NONE, detail=detail))
        self.leg.lose(detail)

    # --- commands on the call itself -------------------------------------------------------------------------

    async def accept(self, session: str) -> None:
        """Let an inbound call ring for the session that took it, which is told so once (RFC 3261 section 13.3.1.1).

        Raises:
            CommandRefused: not to be answered (any more), or the engine could not ring.
        """
        if self.identity.direction is Direction.OUTBOUND:
            raise CommandRefused(ResultCode.CONFLICT, "This call was placed by us: it rings at the other side")
        if self.state is CallState.ANSWERED or self.answering is not None:
            raise CommandRefused(ResultCode.CONFLICT, "The call is answered already")
        if not self.is_ending:
            try:
                await self._ring()
            except (EngineRefused, EngineLost) as error:
                raise refusal_of(error) from error
        if self.is_ending:
            raise CommandRefused(ResultCode.GONE, "The call ended before it was answered")
        if self.state is CallState.RINGING and self._rung_for != session:
            self._rung_for = session
            self._emit_state()

    async def _ring(self) -> None:
        """Send 180, unless it went out before."""
        async with self._ringing:
            if self.state is not CallState.CREATED:
                return
            await self.leg.ring()
            if self.state is CallState.CREATED and not self.is_ending:
                self._move(CallState.RINGING)

    async def answer(self, codecs: list[str], max_duration_s: float) -> None:
        """Answer an inbound call and wait until media flows.

        Raises:
            CommandRefused: not to be answered (any more), or no codec fits.
        """
        if self.identity.direction is Direction.OUTBOUND:
            raise CommandRefused(ResultCode.CONFLICT, "This call was placed by us: the other side answers it")
        if self.state is CallState.ANSWERED or self.answering is not None:
            raise CommandRefused(ResultCode.CONFLICT, "The call is answered already")
        self.max_duration_s = max_duration_s
        if max_duration_s:
            self.relabel()
        self.answering = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self.settings.limits.answer_s):
                await self.leg.answer(codecs)
                await until_any(self.leg.answered, self.leg.over)
        except EngineRefused as error:
            raise refusal_of(error) from error
        except (EngineLost, TimeoutError) as error:
            raise CommandRefused(ResultCode.SERVER_ERROR, "The engine did not answer the call in time") from error
        finally:
            self.answering.set_result(None)
            self.answering = None
        if self.is_ending:
            raise CommandRefused(ResultCode.GONE, "The call ended before it was answered")

    def _limit_duration(self) -> None:
        """End the call ``max_duration_s`` after its answer, and at the node's limit in any case."""
        spent_s = 0.0 if self._answered_at is None else self._now() - self._answered_at
        limit = self.settings.limits.call_s
        wanted = min(self.max_duration_s, limit) if self.max_duration_s > 0 else limit
        ending = Ending(EndReason.MAX_DURATION, EndSource.NONE, text="Maximum duration reached")
        self._limit("duration", max(0.0, wanted - spent_s), ending)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _limit(self, name: str, seconds: float, ending: Ending) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, self.end, ending)

    def _decide(self) -> None:
        if not self.decided.done():
            self.decided.set_result(None)

    async def answering_over(self) -> None:
        """Wait until an answer under way is settled."""
        if self.answering is not None:
            await until_any(self.answering)

    # --- the offer desk's view -------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Not answered, not ended, no answer under way: may be passed on."""
        return self.state in (CallState.CREATED, CallState.RINGING) and not self.is_ending and self.answering is None

    async def alert(self) -> None:
        """Send 180. No event: a client sees ``receive`` of an inbound call first, and ``accept`` tells the rest."""
        if not self.is_open:
            return
        with contextlib.suppress(EngineRefused, EngineLost):  # both mean that the leg's end is on its way
            await self._ring()

    async def reject(self, status: int, reason: str) -> None:
        """Refuse the call on SIP with a sentence; ends it. Without effect on a call that was answered."""
        if not self.decided.done():
            self.end(Ending(reason_of_status(status), EndSource.NONE, status=status, text=reason))

    # --- events ----------------------------------------------------------------------------------------------

    def emit(self, event_type: str, params: dict[str, Any], *, settle: bool = False, durable: bool = False) -> None:
        """Put an event into the call's outbox."""
        self._sink.emit(OutgoingEvent(event_type, params, call_id=self.call_id, settle=settle, durable=durable))

    def receive_params(self) -> dict[str, Any]:
        """Params of ``calling.call.receive``: always ``created``, which one published client insists on."""
        return self._address() | {
            "project_id": self.settings.project_id,
            "context": self.context,
            "direction": self.identity.direction.value,
            "call_state": "created",
            "device": self.identity.device,
        }

    def withdrawn_params(self) -> dict[str, Any]:
        """Params of ``ended`` for a session that lost the offer."""
        params = self.state_params() | {"call_state": "ended", "end_reason": "cancel", "end_source": "none"}
        params["end_time"] = self.wall_ms()
        params.pop("end_detail", None)
        return params

    def state_params(self) -> dict[str, Any]:
        """Params of ``calling.call.state``; whole, because clients replace what they had."""
        params = self.address_params() | {
            "start_time": self.start_time,
            "answer_time": self.answer_time if self.state is not CallState.CREATED else 0,
            "end_time": self.end_time if self.state in (CallState.ENDING, CallState.ENDED) else 0,
        }
        if self._ending.done() and self.state in (CallState.ENDING, CallState.ENDED):
            params |= end_params(self._ending.result())
        return params

    def address_params(self) -> dict[str, Any]:
        """A call's state without times and end: the ``call`` of a dial's event."""
        params = self._address() | {
            "call_state": self.state.value,
            "direction": self.identity.direction.value,
            "device": self.identity.device,
        }
        if self.dial_winner:
            params["dial_winner"] = "true"
        if self.identity.parent is not None:
            params["parent"] = self.identity.parent
        if self.identity.sip_data:
            params["sip_data"] = self.identity.sip_data
        return params

    def announce(self) -> None:
        """Send the present state (``created`` of a leg we place)."""
        self._emit_state()

    def relabel(self) -> None:
        """Leave with the engine what a new node needs to adopt the call."""
        self.leg.label(dump_label(self._label()))

    def label(self) -> str:
        """The text for the engine."""
        return dump_label(self._label())

    def restore(self, label: CallLabel, state: CallState, snapshot: LegSnapshot) -> None:
        """Take over what a former node knew, and how old all is by the engine's clock."""
        self._began_at = self._now() - snapshot.age_ms / 1000
        if snapshot.answered_ms is not None:
            self._answered_at = self._now() - snapshot.answered_ms / 1000
        if snapshot.held_ms is not None:
            self._hold(snapshot.held_ms / 1000)
        self.dialled_by = label.dialled_by
        self.answer_time = label.answer_time
        self.dial_winner = label.dial_winner
        self.rings_last = label.rings_last
        self.is_on_trunk = label.is_on_trunk
        self.ring_timeout_s = label.ring_timeout_s
        self.max_duration_s = label.max_duration_s
        self.state = state
        if state is CallState.ANSWERED:
            self._decide()
            self.answer_time = self.answer_time or self.wall_ms()
            self._limit_duration()

    def _label(self) -> CallLabel:
        return CallLabel(
            call_id=self.call_id,
            segment_id=self.identity.segment_id,
            direction=self.identity.direction,
            tag=self.tag,
            context=self.context,
            dialled_by=self.dialled_by,
            device=_brief(self.identity.device),
            start_time=self.start_time,
            answer_time=self.answer_time,
            dial_winner=self.dial_winner,
            rings_last=self.rings_last,
            is_on_trunk=self.is_on_trunk,
            ring_timeout_s=0.0 if self.answer_time else self.ring_timeout_s,
            max_duration_s=self.max_duration_s,
            actions=[action.open_action for action in self.actions.values()],
        )

    def _address(self) -> dict[str, Any]:
        return {
            "node_id": self.settings.node_id,
            "call_id": self.call_id,
            "segment_id": self.identity.segment_id,
            "tag": self._public_tag(),
        }

    def _public_tag(self) -> str:
        """A leg that did not win ends without its tag: clients stop to track a tag on its first ``ended``."""
        lost = self.claim is not None and not self.dial_winner
        return "" if lost and self.state in (CallState.ENDING, CallState.ENDED) else self.tag

    def _move(self, state: CallState) -> None:
        if state not in CALL_TRANSITIONS[self.state]:
            raise AssertionError(f"no way from {self.state} to {state}")
        self.state = state

    def _emit_state(self, *, durable: bool = False) -> None:
        self.emit(STATE_EVENT, self.state_params(), durable=durable)


def _brief(device: dict[str, Any]) -> dict[str, Any]:
    """A device for the label: without headers, and with nothing that is out of all proportion."""
    params = {
        key: value
        for key, value in device.get("params", {}).items()
        if isinstance(value, str) and len(value) <= MAX_LABELLED_URI
    }
    return device | {"params": params} if device else {}
