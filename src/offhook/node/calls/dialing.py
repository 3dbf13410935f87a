"""Placing calls: groups of devices one after another, those of a group at the same time, the first answer wins."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import msgspec
import structlog

from offhook.errors import CallerError, EngineLost, EngineRefused
from offhook.node.calls.call import Call
from offhook.node.calls.caps import Turn
from offhook.node.calls.devices import DevicePlanner, Placement
from offhook.node.calls.dialled import CallHost, dial_answered, dial_failed
from offhook.node.calls.endings import Ending
from offhook.node.calls.identity import CallIdentity
from offhook.node.calls.leg import Leg
from offhook.node.calls.ports import OutgoingEvent
from offhook.node.calls.sip import sip_data
from offhook.node.calls.uris import party_of
from offhook.node.calls.waiting import until_any
from offhook.node.engine.ops import LegDial, SendDigits
from offhook.protocol.devices import DialDevice
from offhook.protocol.states import DialState, Direction, EndReason, EndSource
from offhook.protocol.verbs.dial import EVENT

__all__ = ["DialRequest", "Dialing"]

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
        legs: dict[asyncio.Future[Any], Call] = {}
        waiting: dict[asyncio.Future[Any], tuple[Placement, Turn]] = {}
        decided: set[asyncio.Future[Any]] = {self._winner, self._given_up}
        try:
            for placement in placements:
                turn = self._turn(placement)
                if turn is not None and turn.wait_s:
                    waiting[_after(turn.wait_s)] = (placement, turn)
                elif turn is not None:
                    legs |= self._place(placement, rings_last)
            while (waiting or legs) and not any(future.done() for future in decided):
                done, _ = await asyncio.wait({*waiting, *legs, *decided}, return_when=asyncio.FIRST_COMPLETED)
                for over in done & legs.keys():
                    self._outcome = legs.pop(over).ending or self._outcome
                for come in done & waiting.keys() if not done & decided else ():
                    placement, turn = waiting.pop(come)
                    self._host.caps.came(turn)
                    legs |= self._place(placement, rings_last)
        finally:
            for coming, (_, turn) in waiting.items():
                coming.cancel()
                self._host.caps.forgo(turn)

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

    def _turn(self, placement: Placement) -> Turn | None:
        """When the device may be called; None if it may not."""
        patience_s = self._ring_timeout_s(placement)
        try:
            return self._host.caps.admit(self.request.session, to_trunk=placement.to_trunk, patience_s=patience_s)
        except CallerError as error:
            self._refuse(str(error))
            return None

    def _refuse(self, text: str) -> None:
        self._outcome = Ending(EndReason.ERROR, EndSource.NONE, detail="not_allowed", text=text)
        log.warning("device not dialled", reason=text)

    def _ring_timeout_s(self, placement: Placement) -> float:
        return placement.ring_timeout_s or self.request.timeout_s or self._host.settings.ring_timeout_s

    def _place(self, placement: Placement, rings_last: bool) -> dict[asyncio.Future[Any], Call]:
        leg = Leg(self._host.engine, str(uuid.uuid4()), Direction.OUTBOUND)
        to = party_of(placement.to_uri)
        identity = CallIdentity(
            call_id=str(uuid.uuid4()),
            segment_id=str(uuid.uuid4()),
            direction=Direction.OUTBOUND,
            device=placement.device,
            sip_data=sip_data(request=to, sender=party_of(placement.from_uri), to=to, headers={}),
        )
        host = self._host
        call = Call(identity, leg, host.sink, host.settings, tag=self.request.tag, wall_ms=host.wall_ms)
        call.dialled_by = self.request.session
        call.max_duration_s = self.request.max_duration_s
        call.rings_last = rings_last
        call.is_on_trunk = placement.to_trunk
        call.ring_timeout_s = self._ring_timeout_s(placement)
        call.claim = self._claim
        call.on_answer = self._answered
        task = self._host.take(call)
        self._legs.append(call)
        call.announce()
        call.spawn_dial(self._dial(call, placement))
        return {task: call}

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
        self._host.caps.answered(call.call_id, to_trunk=call.is_on_trunk)
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


def _after(seconds: float) -> asyncio.Future[None]:
    """Done then, unless it is cancelled."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, _set, future)
    future.add_done_callback(lambda _: timer.cancel())
    return future


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
