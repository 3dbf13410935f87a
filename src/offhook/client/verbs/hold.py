"""Put the party on hold, and take it off again."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import StateOfAction
from offhook.client.words.compose import compose
from offhook.protocol.verbs.hold import EVENT, Hold, Unhold

__all__ = ["HoldEvent", "HoldVerb"]


class HoldEvent(StateOfAction, of=EVENT):
    """``state``: ``hold`` or ``unhold``."""

    __slots__ = ()


class HoldVerb(CallBase):
    """``hold`` and ``unhold``."""

    async def hold(self, **extra: Any) -> dict[str, Any]:
        """Put the party on hold.

        Raises:
            RelayError: refused; some services do not have it and say 404 or -32601.
        """
        return await self.command(Hold.method, compose(Hold, {}, extra))

    async def unhold(self, **extra: Any) -> dict[str, Any]:
        """Take the party off hold.

        Raises:
            RelayError: refused; some services do not have it and say 404 or -32601.
        """
        return await self.command(Unhold.method, compose(Unhold, {}, extra))
