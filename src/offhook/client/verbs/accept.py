"""Let a call ring."""

from __future__ import annotations

from typing import Any

from offhook.client.base import CallBase
from offhook.client.compose import compose
from offhook.protocol.verbs.accept import Accept

__all__ = ["AcceptVerb"]


class AcceptVerb(CallBase):
    """``accept``."""

    async def accept(self, early_media: bool = False, **extra: Any) -> dict[str, Any]:
        """Tell an inbound caller that it rings (180), or with ``early_media`` progress (183), without answering."""
        return await self.command(Accept.method, compose(Accept, {"early_media": early_media}, extra))
