"""``calling.pass``: let another client have an offered call."""

from __future__ import annotations

from typing import Any

from offhook.errors import CommandRefused
from offhook.node.calls.call import Call
from offhook.node.calls.ports import Client
from offhook.node.verbs.base import Command, VerbPorts
from offhook.protocol.codes import ResultCode
from offhook.protocol.states import Direction
from offhook.protocol.verbs import pass_

__all__ = ["Pass"]


class Pass(Command):
    """Only before the answer."""

    spec = pass_.SPECS[0]

    @classmethod
    async def execute(cls, call: Call, params: Any, client: Client, ports: VerbPorts) -> None:  # noqa: ARG003
        if call.identity.direction is Direction.OUTBOUND:
            raise CommandRefused(ResultCode.CONFLICT, "This call was placed by us: it was never offered")
        if not call.is_open:
            raise CommandRefused(ResultCode.CONFLICT, "The call is answered already: end it instead")
        ports.exchange.desk.passed(call.call_id, client.session)
