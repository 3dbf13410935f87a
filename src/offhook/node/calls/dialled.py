"""What a dial says when it is decided, and one that goes on although its node went."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from offhook.node.calls.call import Call
from offhook.node.calls.call_params import address_params
from offhook.node.calls.caps import OutboundCaps
from offhook.node.calls.endings import Ending
from offhook.node.calls.ports import EventSink, OutgoingEvent
from offhook.node.calls.settings import CallSettings
from offhook.node.engine.port import EnginePort
from offhook.protocol.states import DialState, EndReason, EndSource
from offhook.protocol.verbs.dial import EVENT

__all__ = ["AdoptedDial", "CallHost", "dial_answered", "dial_failed"]


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
        self._host.caps.answered(call.call_id, to_trunk=call.is_on_trunk)
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
        "call": address_params(call),
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
