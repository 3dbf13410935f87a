"""A call: its state machine, its actions, what is done to it and what happens to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import structlog

from offhook.errors import CommandRefused, EngineLost, EngineRefused
from offhook.node.calls import call_params
from offhook.node.calls.action import ActionKey, CallAction, Cause
from offhook.node.calls.call_limits import CallLimits
from offhook.node.calls.endings import ANSWERED_ELSEWHERE, Ending, ending_of
from offhook.node.calls.identity import CallIdentity, now_ms
from offhook.node.calls.label import MAX_LABEL_BYTES, CallLabel, dump_label
from offhook.node.calls.leg import Leg
from offhook.node.calls.ports import EventSink, OutgoingEvent
from offhook.node.calls.refusals import refusal_of
from offhook.node.calls.settings import CallSettings
from offhook.node.calls.sip import REFUSAL_STATUS, REFUSAL_TEXT, RINGS, reason_of_status
from offhook.node.calls.waiting import until_any
from offhook.node.calls.walled_tasks import WalledTasks
from offhook.node.engine.reports import LegAnswered, LegChanged, LegEnded, LegProgress, LegSnapshot
from offhook.protocol.codes import ResultCode
from offhook.protocol.states import CALL_TRANSITIONS, CallState, Direction, EndReason, EndSource
from offhook.protocol.verbs.state import STATE_EVENT

if TYPE_CHECKING:
    from offhook.node.calls.hunt import Hunt
    from offhook.node.calls.placing import Placing

__all__ = ["Call"]

_OPERATION_BYTES = 19 + 12
"""What the label of an action grows by once it has its operation (so many digits at most) and its digest."""

log = structlog.get_logger(__name__)


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
        self.brief_device = call_params.brief(identity.device)
        """As the label has it."""
        self.call_id = identity.call_id
        self.context = identity.context
        self.leg = leg
        self.events = sink
        """The call's outbox, in which its own events are."""
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
        """It was the first of its hunt that was answered."""
        self.rings_last = False
        self.is_on_trunk = False
        self.max_duration_s = 0.0
        self.ring_timeout_s = 0.0
        """Of a leg that we placed."""
        self.actions: dict[ActionKey, CallAction] = {}
        self._adopted: dict[ActionKey, CallAction] = {}
        self.hunt: Hunt | None = None
        """Of a call that we placed and that nobody has answered: who says whether it is the one."""
        self.placing: Placing | None = None
        """What it does until then; one that was taken over stays where it was placed."""
        self.past_actions: deque[ActionKey] = deque(maxlen=256)
        """Keys of actions that are over."""
        self.answering: asyncio.Future[None] | None = None
        self._ringing = asyncio.Lock()
        self._rung_for = ""
        self._tasks = WalledTasks()
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when it was answered, or its end began."""
        self._limits = CallLimits(settings.limits, self.end)

    # --- life ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live until the call has ended and said so."""
        if self.state is not CallState.ANSWERED:
            self._limits.ring(self.identity.direction, self.ring_timeout_s)
        async with self._tasks:
            if self.placing is not None:
                self._tasks.spawn(self._place(self.placing), "dial")
            for key, action in self._adopted.items():
                self._tasks.spawn(self._act(key, action), key.name)
            self._adopted.clear()
            await until_any(self._ending)
            ending = self._ending.result()
            if self.state is not CallState.ENDING:  # else a former node said so
                self._move(CallState.ENDING)
                self._emit_state()
            if not self.leg.over.done():
                self._tasks.spawn(self._hang_up(ending), "hangup")
            cause = Cause.ENGINE_LOST if ending.detail == "node_failure" else Cause.HANGUP
            for action in list(self.actions.values()):
                action.end(cause)
        self._limits.cancel()
        self._move(CallState.ENDED)
        self._emit_state(durable=True)

    async def _place(self, placing: Placing) -> None:
        try:
            await placing.run()
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

    def add_action(self, key: ActionKey, action: CallAction) -> None:
        """Run an action under the call's supervisor until it is over.

        Raises:
            CommandRefused: too many are open.
        """
        self.actions[key] = action
        without = sum(not open_.open_action.operation for open_ in self.actions.values())
        if len(self._label(self.actions).encode()) + without * _OPERATION_BYTES > MAX_LABEL_BYTES:
            del self.actions[key]
            raise CommandRefused(
                ResultCode.CONFLICT, "Too many actions are open on this call: stop one first, or use shorter ids"
            )
        self.relabel(patient=False)
        self._tasks.spawn(self._act(key, action), key.name)

    def adopt_action(self, key: ActionKey, action: CallAction) -> None:
        """Go on with an action of a former node once the call runs."""
        self.actions[key] = self._adopted[key] = action

    async def _act(self, key: ActionKey, action: CallAction) -> None:
        try:
            await action.live()
        finally:
            self.actions.pop(key, None)
            self.past_actions.append(key)
            self.relabel()

    # --- what happens on the leg -----------------------------------------------------------------------------

    def progressed(self, report: LegProgress) -> None:
        """A provisional response to our INVITE."""
        if report.status in RINGS and self.state is CallState.CREATED and not self.is_ending:
            self._move(CallState.RINGING)
            self._emit_state()

    def answered(self, report: LegAnswered) -> None:
        """Media flows."""
        if self.is_ending or self.state is CallState.ANSWERED:
            return
        self.leg.receive(report)
        self.answer_time = report.at_us // 1000 or self.wall_ms()
        if self.hunt is not None and not self._wins(self.hunt):
            return
        self._move(CallState.ANSWERED)
        self._decide()
        self._limits.answered(self.max_duration_s)
        self.relabel()
        self._emit_state(durable=True)
        if self.hunt is not None:
            self.hunt.answered(self)

    def _wins(self, hunt: Hunt) -> bool:
        self.dial_winner = hunt.claim(self)
        if not self.dial_winner:
            self.end(ANSWERED_ELSEWHERE)
        return self.dial_winner

    def changed(self, report: LegChanged) -> None:
        """The peer put us on hold, or took us off, or changed its codec or address."""
        self.leg.receive(report)
        if report.hold:
            self._limits.hold()
        else:
            self._limits.off_hold()

    @property
    def is_on_hold(self) -> bool:
        """Whether the peer does not want to hear us."""
        return self._limits.is_on_hold

    def over(self, report: LegEnded) -> None:
        """The leg is gone, and the call with it, unless it is placed again elsewhere."""
        if self.placing is not None and self.placing.goes_on(report):
            self._tasks.spawn(self._place(self.placing), "dial")
            return
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

    def receive_params(self) -> dict[str, Any]:
        """Params of ``calling.call.receive``."""
        return call_params.receive_params(self)

    def withdrawn_params(self) -> dict[str, Any]:
        """Params of ``ended`` for a session that lost the offer."""
        return call_params.withdrawn_params(self)

    def state_params(self) -> dict[str, Any]:
        """Params of ``calling.call.state``."""
        return call_params.state_params(self)

    def announce(self) -> None:
        """Send the present state (``created`` of a leg we place)."""
        self._emit_state()

    def relabel(self, *, patient: bool = True) -> None:
        """Leave with the engine what a new node needs to adopt the call.

        It is there before any operation that is started after it. ``patient``: nobody is told of what it says but by
        the journal, or by the outcome of such an operation.
        """
        self.leg.label(self.label(), patient=patient)

    def label(self) -> str:
        """The text for the engine. What a script does goes with its node, which nobody need end."""
        return self._label(key for key in self.actions if not key.script)

    def _label(self, keys: Iterable[ActionKey]) -> str:
        return dump_label(call_params.label_of(self, [self.actions[key].open_action for key in keys]))

    def restore(self, label: CallLabel, state: CallState, snapshot: LegSnapshot) -> None:
        """Take over what a former node knew, and how old all is by the engine's clock."""
        self._limits.restore(snapshot)
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
            self._limits.answered(self.max_duration_s)

    def _move(self, state: CallState) -> None:
        if state not in CALL_TRANSITIONS[self.state]:
            raise AssertionError(f"no way from {self.state} to {state}")
        self.state = state

    def _emit_state(self, *, durable: bool = False) -> None:
        self.events.emit(OutgoingEvent(STATE_EVENT, self.state_params(), self.call_id, self.tag, durable=durable))
