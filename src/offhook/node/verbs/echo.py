"""``calling.echo``: the party hears itself."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from types import MappingProxyType
from typing import ClassVar

from offhook.errors import EngineLost, EngineRefused
from offhook.node.calls.action import Cause
from offhook.node.calls.call import Call
from offhook.node.calls.leg import EngineOperation
from offhook.node.calls.ports import Events
from offhook.node.engine import ops
from offhook.node.verbs.base import Frame, Unbuilt, Verb, VerbPorts
from offhook.protocol.states import EchoState
from offhook.protocol.verbs import echo

__all__ = ["Echo"]


class Echo(Verb[echo.Echo]):
    """Ends after its timeout or with the call. It has no control_id and no stop."""

    spec = echo.SPECS[0]
    unbuilt: ClassVar[Unbuilt] = MappingProxyType({"status_url": None})

    def __init__(self, call: Call, params: echo.Echo, ports: VerbPorts, events: Events) -> None:
        super().__init__(call, params, ports, events)
        self._operation: EngineOperation | None = None

    async def run(self) -> None:
        timeout_ms = round(self.params.clamped_timeout_s * 1000)
        self._operation = await self.leg.start(ops.Echo(self.leg.next_id(), self.leg.id, timeout_ms))
        self.accept()
        self.emit(self.event, {"state": EchoState.ECHOING.value})
        await self._operation.over()

    async def finish(self, cause: Cause) -> Sequence[Frame]:  # noqa: ARG002
        if self._operation is not None:
            with contextlib.suppress(EngineRefused, EngineLost):  # its end comes with the leg's
                await self.leg.stop(self._operation)
        return [(self.event, {"state": EchoState.FINISHED.value})]
