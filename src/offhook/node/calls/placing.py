"""Placing one call: asking the engine for its leg."""

from __future__ import annotations

from offhook.errors import EngineLost, EngineRefused
from offhook.node.calls.call import Call
from offhook.node.calls.devices import Placement
from offhook.node.calls.endings import Ending
from offhook.node.engine.ops import LegDial
from offhook.node.engine.port import EnginePort
from offhook.protocol.states import EndReason, EndSource

__all__ = ["Placing"]


class Placing:
    """What a call has to do until it is answered: a call that we place runs it."""

    def __init__(self, engine: EnginePort, call: Call, placement: Placement) -> None:
        self._engine = engine
        self._call = call
        self._placement = placement

    async def run(self) -> None:
        """Ask for the leg. Where there is none, the call ends."""
        call, placement = self._call, self._placement
        operation = LegDial(
            self._engine.next_id(),
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
            await self._engine.execute(operation)
        except EngineRefused as error:
            self._fail(error)
            call.leg.lose("not dialled")
        except EngineLost as error:  # it may have it all the same, and ring: the call hangs up
            self._fail(error)

    def _fail(self, error: EngineRefused | EngineLost) -> None:
        self._call.end(Ending(EndReason.ERROR, EndSource.NONE, detail="not_dialled", text=str(error)))
