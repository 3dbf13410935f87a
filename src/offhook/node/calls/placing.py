"""Placing one call: at one target after another, until one takes it (RFC 3263, section 4.3)."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque

import structlog

from offhook.errors import EngineLost, EngineRefused
from offhook.node.calls.call import Call
from offhook.node.calls.devices import Placement
from offhook.node.calls.directory import CallDirectory
from offhook.node.calls.endings import Ending
from offhook.node.calls.leg import Leg
from offhook.node.calls.sip import is_unserved
from offhook.node.engine.ops import LegDial
from offhook.node.engine.port import EnginePort
from offhook.node.engine.reports import LegEnded
from offhook.protocol.states import CallState, Direction, EndReason, EndSource

__all__ = ["Placing"]

log = structlog.get_logger(__name__)
_LEAST_S = 1.0
"""No target is asked for less than that."""
_SILENCE_S = 4.0
"""So long a target may say nothing at all, where there is another one: four INVITEs by UDP went by then."""


class Placing:
    """What a call that we place does until somebody is called. The time that it may ring is that of all targets."""

    def __init__(self, engine: EnginePort, calls: CallDirectory, call: Call, placement: Placement) -> None:
        self._engine = engine
        self._calls = calls
        self._call = call
        self._placement = placement
        self._left = deque(placement.targets)
        self._until_s = 0.0

    async def run(self) -> None:
        """Ask for the call's leg at the next target. Where none has a way to it, the call ends."""
        call = self._call
        self._until_s = self._until_s or _now() + call.ring_timeout_s
        while not call.is_ending:
            try:
                await self._engine.execute(self._operation())
            except EngineRefused as error:
                if error.code == "unreachable" and self._may_go_on():
                    continue
                self._fail(error)
            except EngineLost as error:  # it may have it all the same, and ring: the call hangs up
                self._fail(error)
                return
            else:
                return
        call.leg.lose("not dialled")

    def goes_on(self, report: LegEnded) -> bool:
        """Whether the call, of which the leg is gone, has another one: to be asked for, at the next target."""
        if not is_unserved(report) or not self._may_go_on():
            return False
        log.info("next address tried", call_id=self._call.call_id, cause=report.cause, status=report.status)
        self._call.leg.receive(report)
        self._calls.move(self._call, Leg(self._engine, str(uuid.uuid4()), Direction.OUTBOUND))
        return True

    def _may_go_on(self) -> bool:
        """A person whose phone rang is not called again."""
        is_open = self._call.state is CallState.CREATED and not self._call.is_ending
        return is_open and bool(self._left) and self._time_s() >= _LEAST_S

    def _time_s(self) -> float:
        return self._until_s - _now()

    def _operation(self) -> LegDial:
        placement, target = self._placement, self._left.popleft()
        return LegDial(
            self._engine.next_id(),
            self._call.leg.id,
            placement.to_uri,
            placement.from_uri,
            target.destination,
            transport=target.transport,
            from_display=placement.from_display,
            headers=placement.headers,
            codecs=placement.codecs,
            ring_timeout_ms=round(self._time_s() * 1000),
            label=self._call.label(),
            response_timeout_ms=round(_SILENCE_S * 1000) if self._left else 0,
        )

    def _fail(self, error: EngineRefused | EngineLost) -> None:
        self._call.end(Ending(EndReason.ERROR, EndSource.NONE, detail="not_dialled", text=str(error)))


def _now() -> float:
    return asyncio.get_running_loop().time()
