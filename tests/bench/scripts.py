"""A script of the node, as a test plays it: it starts verbs on a call and hears of them, and nobody else does."""

from __future__ import annotations

from typing import Any

import pytest

from offhook.errors import CommandRefused
from offhook.node.calls.action import Running
from offhook.node.calls.call import Call
from offhook.node.calls.ports import Script
from offhook.node.verbs.registry import VerbRegistry
from offhook.protocol.params import parse_params
from offhook.protocol.verbs import PARAMS
from offhook.testing.ports import RecordingSink

__all__ = ["ScriptOf"]


class ScriptOf:
    """What a script does on one call."""

    def __init__(self, registry: VerbRegistry, call: Call, name: str = "script") -> None:
        self.call = call
        self.heard = RecordingSink()
        self.controller = Script(name, self.heard)
        self._registry = registry

    async def start(self, method: str, **params: Any) -> Running:
        """Start a verb."""
        address = {"node_id": self.call.settings.node_id, "call_id": self.call.call_id}
        parsed = parse_params(PARAMS[method], address | params)
        return await self._registry.start(self.call, parsed, self.controller)

    async def refused(self, method: str, **params: Any) -> tuple[str, str]:
        """Start a verb that must be refused, at once or later; code and sentence."""
        with pytest.raises(CommandRefused) as refused:
            await (await self.start(method, **params)).accepted()
        return str(refused.value.code), refused.value.message
