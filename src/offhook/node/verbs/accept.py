"""``calling.accept``: let an inbound call ring, and answer it later."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, ClassVar

from offhook.node.calls.call import Call
from offhook.node.calls.ports import Client
from offhook.node.verbs.base import Command, Unbuilt, VerbPorts
from offhook.protocol.verbs import accept

__all__ = ["Accept"]


class Accept(Command):
    """Done when the 180 went out; ``ringing`` is told. A second time changes nothing."""

    spec = accept.SPECS[0]

    unbuilt: ClassVar[Unbuilt] = MappingProxyType({"early_media": frozenset({True})})

    @classmethod
    async def execute(cls, call: Call, params: Any, client: Client, ports: VerbPorts) -> None:  # noqa: ARG003
        await call.accept(client.session)
