"""``calling.end``: end a call, ringing or answered."""

from __future__ import annotations

from typing import Any

from offhook.node.calls.call import Call
from offhook.node.calls.endings import Ending
from offhook.node.calls.ports import Client
from offhook.node.verbs.base import Command, VerbPorts
from offhook.protocol.states import EndReason, EndSource
from offhook.protocol.verbs import end

__all__ = ["End"]


class End(Command):
    """Answered at once; ``ending`` and ``ended`` follow. A second time changes nothing."""

    spec = end.SPECS[0]

    @classmethod
    async def execute(cls, call: Call, params: Any, client: Client, ports: VerbPorts) -> None:  # noqa: ARG003
        assert isinstance(params, end.End)
        call.end(Ending(EndReason(params.reason), EndSource.OUTBOUND))
