"""``calling.send_digits``: DTMF to the party."""

from __future__ import annotations

from collections.abc import Sequence

from offhook.errors import MachineError
from offhook.node.calls.action import Cause
from offhook.node.calls.call import Call
from offhook.node.calls.leg import EngineOperation
from offhook.node.calls.ports import Events
from offhook.node.engine import ops
from offhook.node.verbs.base import Frame, Verb, VerbPorts
from offhook.protocol.states import SendDigitsState
from offhook.protocol.verbs import send_digits

__all__ = ["SendDigits"]

_UPPER = str.maketrans("abcd", "ABCD")  # w and W differ


class SendDigits(Verb[send_digits.SendDigits]):
    """Ends when the last digit was sent; a hangup before is an error, for not all were."""

    spec = send_digits.SPECS[0]

    def __init__(self, call: Call, params: send_digits.SendDigits, ports: VerbPorts, events: Events) -> None:
        super().__init__(call, params, ports, events)
        self._operation: EngineOperation | None = None

    async def run(self) -> None:
        digits = self.params.digits.translate(_UPPER)
        operation = ops.SendDigits(self.leg.next_id(), self.leg.id, digits)
        self._operation = await self.leg.start(operation)
        self.accept()
        ended = await self._operation.over()
        if ended.cause != "finished":
            raise MachineError(ended.detail or "The call ended before all digits were sent")

    async def finish(self, cause: Cause) -> Sequence[Frame]:
        if self._operation is not None:
            self.leg.abandon(self._operation)
        if cause is Cause.FINISHED:
            return [(self.event, {"state": SendDigitsState.FINISHED.value})]
        return self.broken(self.open_action, self.failure or "The call ended before all digits were sent", self.ports)
