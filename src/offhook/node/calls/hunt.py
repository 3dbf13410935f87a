"""Finding one who answers: groups of devices one after another, those of a group at once, the first answer wins.

A hunt tells nobody of itself: whoever hunts (``dialing.py``) says what its own event has to say. It owns whom it called
until one has won; the winner is its user's, the others it ends.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import structlog

from offhook.errors import CallerError
from offhook.node.calls.call import Call
from offhook.node.calls.caps import OutboundCaps, Turn
from offhook.node.calls.devices import DevicePlanner, Placement
from offhook.node.calls.directory import CallDirectory
from offhook.node.calls.endings import ANSWERED_ELSEWHERE, Ending
from offhook.node.calls.identity import CallIdentity
from offhook.node.calls.leg import Leg
from offhook.node.calls.placing import Placing
from offhook.node.calls.ports import EventSink
from offhook.node.calls.settings import CallSettings
from offhook.node.calls.sip import sip_data
from offhook.node.calls.uris import party_of
from offhook.node.calls.waiting import until_any
from offhook.node.engine.port import EnginePort
from offhook.protocol.devices import DialDevice
from offhook.protocol.states import Direction, EndReason, EndSource

__all__ = ["CallHost", "Hunt", "HuntRequest", "Lost", "Won"]

log = structlog.get_logger(__name__)


class CallHost(Protocol):
    """Takes up the calls that a hunt places."""

    calls: CallDirectory
    engine: EnginePort
    sink: EventSink
    settings: CallSettings
    wall_ms: Callable[[], int]
    caps: OutboundCaps

    def take(self, call: Call) -> asyncio.Task[None]:
        """Register a call and run it; the task ends after its ``ended``."""
        ...


class HuntRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to call. ``timeout_s`` rings devices without a timeout of their own.

    ``session``: for whom; it has the calls, and they are counted as its own. ``tag`` and ``parent`` are what the calls
    tell of themselves; ``parent``: the call for which they are placed.
    ``outlives_node``: nothing is left to do after the answer, so that another node may go on when the last group rings.
    """

    session: str
    groups: list[list[DialDevice]] = []
    tag: str = ""
    parent: dict[str, Any] | None = None
    timeout_s: float | None = None
    max_duration_s: float = 0.0
    outlives_node: bool = False

    def __repr__(self) -> str:
        return f"HuntRequest({self.tag!r}, groups=<{len(self.groups)}>)"


class Won(msgspec.Struct, frozen=True):
    """Somebody answered; the others end."""

    call: Call


class Lost(msgspec.Struct, frozen=True):
    """Nobody did: why the last of them did not, or why no more were called."""

    ending: Ending


class Hunt:
    """One search. ``on_won`` is called when the winner has told its answer, before any of the others ends."""

    def __init__(
        self, request: HuntRequest, host: CallHost, planner: DevicePlanner, on_won: Callable[[Call], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        self._request = request
        self._groups = deque(request.groups)
        self._host = host
        self._planner = planner
        self._on_won = on_won
        self._winner: asyncio.Future[Call] = loop.create_future()
        self._given_up: asyncio.Future[Ending] = loop.create_future()
        self._ringing: dict[asyncio.Future[Any], Call] = {}
        self._last = Ending(EndReason.ERROR, EndSource.NONE)

    async def run(self) -> Won | Lost:
        """Call group after group until one answers. Cancelled, it leaves nobody ringing.

        Run again, where the winner will not do, it goes on with the groups behind that one's.
        """
        try:
            await self._watch({})
            while self._groups and not self._is_over:
                await self._call(self._groups.popleft())
                self._end_others()
        finally:
            self._end_others()
        if self.has_won:
            won = Won(self._winner.result())
            self._winner = asyncio.get_running_loop().create_future()
            return won
        return Lost(self._given_up.result() if self._given_up.done() else self._last)

    def follow(self, call: Call) -> None:
        """Go on, before ``run``, with a call that a former node placed and nobody has answered."""
        call.hunt = self
        self._ringing[self._host.take(call)] = call

    def give_up(self, ending: Ending) -> None:
        """Call nobody else and end who rings, unless somebody answered."""
        if not self._is_over:
            self._given_up.set_result(ending)
            self._end_others()

    @property
    def has_won(self) -> bool:
        """Whether somebody has answered, and ``run`` has not returned yet."""
        return self._winner.done()

    # --- for its calls ---------------------------------------------------------------------------------------

    def claim(self, call: Call) -> bool:
        """The first that is answered wins."""
        if self._is_over:
            return False
        self._winner.set_result(call)
        return True

    def answered(self, call: Call) -> None:
        """The winner's state is out."""
        self._host.caps.answered(call.call_id, to_trunk=call.is_on_trunk)
        self._on_won(call)

    # --- groups ----------------------------------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        return self._winner.done() or self._given_up.done()

    async def _call(self, group: list[DialDevice]) -> None:
        waiting: dict[asyncio.Future[Any], tuple[Placement, Turn]] = {}
        try:
            for placement in await self._placements(group):
                turn = self._turn(placement)
                if turn is not None and turn.wait_s:
                    waiting[_after(turn.wait_s)] = (placement, turn)
                elif turn is not None:
                    self._place(placement)
            await self._watch(waiting)
        finally:
            for coming, (_, turn) in waiting.items():
                coming.cancel()
                self._host.caps.forgo(turn)

    async def _watch(self, waiting: dict[asyncio.Future[Any], tuple[Placement, Turn]]) -> None:
        """Until one wins, none is left, or no more are wanted; those that ``waiting`` has are placed in their turn."""
        while (waiting or self._ringing) and not self._is_over:
            events: set[asyncio.Future[Any]] = {*waiting, *self._ringing, self._winner, self._given_up}
            done, _ = await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
            for over in done & self._ringing.keys():
                self._last = self._ringing.pop(over).ending or self._last
            for come in done & waiting.keys() if not self._is_over else ():
                placement, turn = waiting.pop(come)
                self._host.caps.came(turn)
                self._place(placement)

    def _end_others(self) -> None:
        """All but the winner."""
        ending = self._given_up.result() if self._given_up.done() else ANSWERED_ELSEWHERE
        for call in self._ringing.values():
            if not self.has_won or call is not self._winner.result():
                call.end(ending)
        self._ringing.clear()

    async def _placements(self, group: list[DialDevice]) -> list[Placement]:
        """Where to call; nowhere, when the hunt was given up meanwhile."""
        planning = asyncio.gather(*(self._plan(device) for device in group))
        try:
            await until_any(planning, self._given_up)
            if self._given_up.done():
                return []
            return [placement for placements in planning.result() for placement in placements]
        finally:
            planning.cancel()

    async def _plan(self, device: DialDevice) -> list[Placement]:
        try:
            return await self._planner.plan(device, self._request.session)
        except CallerError as error:
            self._refuse(str(error))
            return []

    def _turn(self, placement: Placement) -> Turn | None:
        """When the device may be called; None if it may not."""
        patience_s = self._ring_timeout_s(placement)
        try:
            return self._host.caps.admit(self._request.session, to_trunk=placement.to_trunk, patience_s=patience_s)
        except CallerError as error:
            self._refuse(str(error))
            return None

    def _refuse(self, text: str) -> None:
        self._last = Ending(EndReason.ERROR, EndSource.NONE, detail="not_allowed", text=text)
        log.warning("device not dialled", reason=text)

    def _ring_timeout_s(self, placement: Placement) -> float:
        return placement.ring_timeout_s or self._request.timeout_s or self._host.settings.ring_timeout_s

    def _place(self, placement: Placement) -> None:
        request, host = self._request, self._host
        to = party_of(placement.to_uri)
        identity = CallIdentity(
            call_id=str(uuid.uuid4()),
            segment_id=str(uuid.uuid4()),
            direction=Direction.OUTBOUND,
            device=placement.device,
            sip_data=sip_data(request=to, sender=party_of(placement.from_uri), to=to, headers={}),
            parent=request.parent,
        )
        leg = Leg(host.engine, str(uuid.uuid4()), Direction.OUTBOUND)
        call = Call(identity, leg, host.sink, host.settings, tag=request.tag, wall_ms=host.wall_ms)
        call.dialled_by = request.session
        call.max_duration_s = request.max_duration_s
        call.rings_last = request.outlives_node and not self._groups
        call.is_on_trunk = placement.to_trunk
        call.ring_timeout_s = self._ring_timeout_s(placement)
        call.hunt, call.placing = self, Placing(host.engine, host.calls, call, placement)
        self._ringing[host.take(call)] = call
        call.announce()


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
