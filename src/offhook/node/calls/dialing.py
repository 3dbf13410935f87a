"""``calling.dial``: what is told of a hunt, and what follows its answer."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog

from offhook.errors import EngineLost, EngineRefused
from offhook.node.calls.call import Call
from offhook.node.calls.call_params import address_params
from offhook.node.calls.devices import DevicePlanner
from offhook.node.calls.endings import Ending
from offhook.node.calls.hunt import CallHost, Hunt, HuntRequest, Lost, Won
from offhook.node.calls.ports import OutgoingEvent
from offhook.node.engine.ops import SendDigits
from offhook.protocol.states import DialState, EndReason, EndSource
from offhook.protocol.verbs.dial import EVENT

__all__ = ["DialRequest", "Dialing", "dial_failed"]

log = structlog.get_logger(__name__)
_BROKEN = Ending(
    EndReason.ERROR, EndSource.NONE, detail="dial_failed", text="The node failed on this dial; its log says why"
)


class DialRequest(msgspec.Struct, frozen=True):
    """What was asked: whom to call, by the tag of its calls, and what to press after the answer."""

    hunt: HuntRequest
    send_digits: str = ""

    def __repr__(self) -> str:
        return f"DialRequest({self.hunt!r})"


class Dialing:
    """One ``calling.dial``, from the first device to its answer or failure."""

    def __init__(self, request: DialRequest, host: CallHost, planner: DevicePlanner) -> None:
        self.request = request
        self.hunt = Hunt(request.hunt, host, planner, self._answered)
        self._host = host

    async def run(self) -> None:
        """Say ``dialing``, look for one who answers, and say ``answered`` or ``failed``, once."""
        self._emit({"dial_state": DialState.DIALING.value})
        await self.go_on()

    async def go_on(self) -> None:
        """The same, where a former node said ``dialing``."""
        outcome: Won | Lost = Lost(_BROKEN)
        try:
            outcome = await self.hunt.run()
        finally:
            if isinstance(outcome, Lost) and not self.hunt.has_won:
                self._failed(outcome.ending)
        if isinstance(outcome, Won):
            await self._press(outcome.call)

    def _answered(self, call: Call) -> None:
        """In the outbox of the call that won, right behind its state."""
        params = {
            "node_id": self._host.settings.node_id,
            "tag": call.tag,
            "dial_state": DialState.ANSWERED.value,
            "call": address_params(call),
        }
        event = OutgoingEvent(EVENT, params, call.call_id, call.tag, call.dialled_by, durable=True)
        self._host.sink.emit(event)

    def _failed(self, ending: Ending) -> None:
        hunt = self.request.hunt
        self._host.sink.emit(dial_failed(self._host.settings.node_id, hunt.tag, hunt.session, ending))

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
        hunt = self.request.hunt
        params = {"node_id": self._host.settings.node_id, "tag": hunt.tag} | params
        self._host.sink.emit(OutgoingEvent(EVENT, params, tag=hunt.tag, session=hunt.session))


def dial_failed(node_id: str, tag: str, session: str, ending: Ending) -> OutgoingEvent:
    """``calling.call.dial`` ``failed``; ``message`` is ours: what to change."""
    params = {
        "node_id": node_id,
        "tag": tag,
        "dial_state": DialState.FAILED.value,
        "reason": ending.reason.value,
        "source": ending.source.value,
    }
    return OutgoingEvent(EVENT, params | ({"message": ending.text} if ending.text else {}), tag=tag, session=session)
