"""Give an offered call back to routing, so that another program may take it."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.words.compose import compose
from offhook.protocol.verbs.pass_ import Pass

__all__ = ["PassVerb"]


class PassVerb(CallBase):
    """``pass_``."""

    async def pass_(self, **extra: Any) -> dict[str, Any]:
        """Decline control, returning the call to routing.

        Open actions and ``wait_for_ended`` then end with cause ``released``; later commands raise CallReleased.
        """
        result = await self.command(Pass.method, compose(Pass, {}, extra))
        if result:
            self.close("released")
        return result
