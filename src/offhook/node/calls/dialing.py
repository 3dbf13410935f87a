"""Placing calls: groups of devices one after another, those of a group at the same time, the first answer wins."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import structlog

from offhook.errors import CallerError, EngineLost, EngineRefused
from offhook.node.calls.call import Call, CallIdentity
from offhook.node.calls.caps import OutboundCaps
from offhook.node.calls.devices import DevicePlanner, Placement
from offhook.node.calls.endings import Ending
from offhook.node.calls.leg import Leg
from offhook.node.calls.ports import EventSink, OutgoingEvent
from offhook.node.calls.settings import CallSettings
from offhook.node.calls.uris import sip_data
from offhook.node.calls.waiting import until_any
from offhook.node.engine.ops import LegDial, SendDigits
from offhook.node.engine.port import EnginePort
from offhook.protocol.devices import DialDevice
from offhook.protocol.states import DialState, Direction, EndReason, EndSource
from offhook.protocol.verbs.dial import EVENT

__all__ = ["AdoptedDial", "CallHost", "DialRequest", "Dialing", "dial_failed"]

log = structlog.get_logger(__name__)
_BROKEN = "The node failed on this dial; its log says why"


class DialRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked. ``timeout_s`` rings devices without a timeout of their own."""

    tag: str
    session: str
    groups: list[list[DialDevice]]
    timeout_s: float | None = None
    max_duration_s: float = 0.0
    send_digits: str = ""

    def __repr__(self) -> str:
        return f"DialRequest({self.tag!r}, groups=<{len(self.groups)}>)"


class CallHost(Protocol):
    """Takes up the calls that a dial places."""

    engine: EnginePort
    sink: EventSink
    settings: CallSettings
    wall_ms: Callable[[], int]
    caps: OutboundCaps

    def take(self, call: Call) -> asyncio.Task[None]:
        """Register a call and run it; the task ends after its ``ended``."""
        ...


class Dialing:
    """One ``calling.dial``, from the first device to its answer or failure."""

    def __init__(self, request: DialRequest, host: CallHost, planner: DevicePlanner) -> None:
        loop = asyncio.get_running_loop()
        self.request = request
        self._host = host
        self._planner = planner
        self._winner: asyncio.Future[Call] = loop.create_future()
        self._given_up: asyncio.Future[Ending] = loop.create_future()
        self._legs: list[Call] = []
        self._outcome = Ending(EndReason.ERROR, EndSource.NONE)

    async def run(self) -> None:
        """Try the groups; say ``dialing``, then ``answered`` or ``failed``, once."""
        self._emit({"dial_state": DialState.DIALING.value})
        try:
            await self._try_groups()
        except Exception:
            self._outcome = Ending(EndReason.ERROR, EndSource.NONE, detail="dial_failed", text=_BROKEN)
            raise
        finally:
            self._cancel_legs()
            if not self._winner.done():
                self._fail()

    def give_up(self, ending: Ending) -> None:
        """Call nobody else and cancel what rings, unless somebody answered."""
        if not self._winner.done() and not self._given_up.done():
            self._given_up.set_result(ending)
            self._cancel_legs()

    async def _try_groups(self) -> None:
        for group in self.request.groups:
            await self._ring(group)
            self._cancel_legs()
            if self._winner.done():
                await self._press(self._winner.result())
                return
            if self._given_up.done():
                self._outcome = self._given_up.result()
                return

    async def _ring(self, group: list[DialDevice]) -> None:
        placements = await self._placements(group)
        rings_last = group is self.request.groups[-1] and not self.request.send_digits
        legs = [self._place(placement, rings_last) for placement in placements if self._has_room(placement)]
        pending: set[asyncio.Future[Any]] = {task for _, task in legs}
        decided: set[asyncio.Future[Any]] = {self._winner, self._given_up}
        while pending and not any(future.done() for future in decided):
            done, _ = await asyncio.wait(pending | decided, return_when=asyncio.FIRST_COMPLETED)
            pending -= done
            for call, task in legs:
                if task in done:
                    self._outcome = call.ending or self._outcome

    def _cancel_legs(self) -> None:
        """All but the winner."""
        ending = Ending(EndReason.CANCEL, EndSource.OUTBOUND, text="Answered elsewhere")
        if self._given_up.done():
            ending = self._given_up.result()
        for call in self._legs:
            if not self._winner.done() or call is not self._winner.result():
                call.end(ending)
        self._legs.clear()

    def _fail(self) -> None:
        params = dial_failed(self._host.settings.node_id, self.request.tag, self._outcome)
        self._host.sink.emit(OutgoingEvent(EVENT, params, tag=self.request.tag, session=self.request.session))

    async def _placements(self, group: list[DialDevice]) -> list[Placement]:
        """Where to call; nowhere, when the dial was given up meanwhile."""
        planning = asyncio.gather(*(self._plan(device) for device in group))
        try:
            await until_any(planning, self._given_up)
            if self._given_up.done():
                return []
            return [placement for placement in planning.result() if placement is not None]
        finally:
            planning.cancel()

    async def _plan(self, device: DialDevice) -> Placement | None:
        try:
            return await self._planner.plan(device, self.request.session)
        except CallerError as error:
            self._refuse(str(error))
            return None

    def _has_room(self, placement: Placement) -> bool:
        try:
            self._host.caps.admit(self.request.session, to_trunk=placement.to_trunk)
        except CallerError as error:
            self._refuse(str(error))
            return False
        return True

    def _refuse(self, text: str) -> None:
        self._outcome = Ending(EndReason.ERROR, EndSource.NONE, detail="not_allowed", text=text)
        log.warning("device not dialled", reason=text)

    def _place(self, placement: Placement, rings_last: bool) -> tuple[Call, asyncio.Task[None]]:
        leg = Leg(self._host.engine, str(uuid.uuid4()), Direction.OUTBOUND)
        identity = CallIdentity(
            call_id=str(uuid.uuid4()),
            segment_id=str(uuid.uuid4()),
            direction=Direction.OUTBOUND,
            device=placement.device,
            sip_data=sip_data(
                request=placement.to_uri, from_uri=placement.from_uri, to_uri=placement.to_uri, headers={}
            ),
        )
        host = self._host
        call = Call(identity, leg, host.sink, host.settings, tag=self.request.tag, wall_ms=host.wall_ms)
        call.dialled_by = self.request.session
        call.max_duration_s = self.request.max_duration_s
        call.rings_last = rings_last
        call.is_on_trunk = placement.to_trunk
        call.ring_timeout_s = placement.ring_timeout_s or self.request.timeout_s or host.settings.ring_timeout_s
        call.claim = self._claim
        call.on_answer = self._answered
        task = self._host.take(call)
        self._legs.append(call)
        call.announce()
        call.spawn_dial(self._dial(call, placement))
        return call, task

    async def _dial(self, call: Call, placement: Placement) -> None:
        operation = LegDial(
            self._host.engine.next_id(),
            call.leg.id,
            placement.to_uri,
            placement.from_uri,
            placement.destination,
            transport=placement.transport,
            from_display=placement.from_display,
            headers=placement.headers,
            codecs=placement.codecs,
            ring_timeout_ms=round(call.ring_timeout_s * 1000),
            label=call.label(),
        )
        try:
            await self._host.engine.execute(operation)
        except EngineRefused as error:
            call.end(Ending(EndReason.ERROR, EndSource.NONE, detail="not_dialled", text=str(error)))
            call.leg.lose("not dialled")
        except EngineLost as error:  # it may have it all the same, and ring: the call hangs up
            call.end(Ending(EndReason.ERROR, EndSource.NONE, detail="not_dialled", text=str(error)))

    def _claim(self, call: Call) -> bool:
        """The first leg that is answered wins."""
        if self._winner.done() or self._given_up.done():
            return False
        call.dial_winner = True
        self._winner.set_result(call)
        return True

    def _answered(self, call: Call) -> None:
        """The winner's state is out: say so for the dial, in the same outbox, before any loser ends."""
        self._host.sink.emit(dial_answered(call))

    async def _press(self, call: Call) -> None:
        if not self.request.send_digits:
            return
        try:
            digits = SendDigits(self._host.engine.next_id(), call.leg.id, self.request.send_digits)
            running = await call.leg.start(digits)
            await running.over()
        except (EngineRefused, EngineLost) as error:
            log.warning("digits after answer not sent", call_id=call.call_id, reason=str(error))

    def _emit(self, params: dict[str, Any]) -> None:
        tag = self.request.tag
        params = {"node_id": self._host.settings.node_id, "tag": tag} | params
        self._host.sink.emit(OutgoingEvent(EVENT, params, tag=tag, session=self.request.session))


class AdoptedDial:
    """The last devices of a dial whose node went, still ringing: the first answer wins, the last end fails it."""

    def __init__(self, host: CallHost) -> None:
        self._host = host
        self._ringing: list[Call] = []
        self._winner: Call | None = None

    def take(self, call: Call) -> None:
        """Go on with a leg that was not answered."""
        call.claim = self._claim
        call.on_answer = self._answered
        self._ringing.append(call)
        self._host.take(call).add_done_callback(lambda _: self._over(call))

    def _claim(self, call: Call) -> bool:
        if self._winner is not None:
            return False
        self._winner = call
        call.dial_winner = True
        return True

    def _answered(self, call: Call) -> None:
        self._host.sink.emit(dial_answered(call))
        for other in self._ringing:
            if other is not call:
                other.end(Ending(EndReason.CANCEL, EndSource.OUTBOUND, text="Answered elsewhere"))

    def _over(self, call: Call) -> None:
        self._ringing.remove(call)
        if self._ringing or self._winner is not None:
            return
        params = dial_failed(
            self._host.settings.node_id, call.tag, call.ending or Ending(EndReason.ERROR, EndSource.NONE)
        )
        self._host.sink.emit(OutgoingEvent(EVENT, params, tag=call.tag, session=call.dialled_by))


def dial_answered(call: Call) -> OutgoingEvent:
    """``calling.call.dial`` ``answered``, in the outbox of the call that won."""
    params = {
        "node_id": call.settings.node_id,
        "tag": call.tag,
        "dial_state": DialState.ANSWERED.value,
        "call": call.address_params(),
    }
    return OutgoingEvent(EVENT, params, call.call_id, call.tag, call.dialled_by, durable=True)


def dial_failed(node_id: str, tag: str, ending: Ending) -> dict[str, Any]:
    """Params of ``calling.call.dial`` ``failed``; ``message`` is ours: what to change."""
    params = {
        "node_id": node_id,
        "tag": tag,
        "dial_state": DialState.FAILED.value,
        "reason": ending.reason.value,
        "source": ending.source.value,
    }
    return params | ({"message": ending.text} if ending.text else {})
