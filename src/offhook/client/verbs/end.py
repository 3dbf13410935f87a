"""Hang up."""

from __future__ import annotations

from typing import Any, Literal

from offhook.client.base import CallBase
from offhook.client.compose import compose
from offhook.protocol.verbs.end import End

__all__ = ["EndVerb"]


class EndVerb(CallBase):
    """``hangup``."""

    async def hangup(
        self,
        reason: Literal["hangup", "cancel", "busy", "noAnswer", "decline", "error"] = "hangup",
        **extra: Any,
    ) -> dict[str, Any]:
        """End the call, ringing or answered. A ringing caller is told the reason."""
        return await self.command(End.method, compose(End, {"reason": reason}, extra))
