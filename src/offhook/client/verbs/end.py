"""End a call, ringing or answered."""

from __future__ import annotations

from typing import Any, Literal

from offhook.client.actions.call_base import CallBase
from offhook.client.words.compose import compose
from offhook.protocol.verbs.end import End

__all__ = ["EndVerb"]


class EndVerb(CallBase):
    """``hangup``."""

    async def hangup(
        self,
        reason: Literal["hangup", "cancel", "busy", "noAnswer", "decline", "error"] = "hangup",
        **extra: Any,
    ) -> dict[str, Any]:
        """End the call. Returns when the node took it; ``calling.call.state`` tells ``ended``.

        Args:
            reason: a caller who still hears ringing is told it: ``busy`` as 486, ``decline`` as 603 and so on.
            extra: sent as it is.
        """
        return await self.command(End.method, compose(End, {"reason": reason}, extra))
