"""Let an offered call ring, or play to the caller before the call is answered."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.words.compose import compose
from offhook.protocol.verbs.accept import Accept

__all__ = ["AcceptVerb"]


class AcceptVerb(CallBase):
    """``accept``."""

    async def accept(self, early_media: bool = False, **extra: Any) -> dict[str, Any]:
        """Tell an inbound caller that it rings, without answering: the call is ours then, and ``answer`` may follow.

        ``calling.call.state`` ``ringing`` follows. A second time changes nothing; after the answer it is refused (409).

        Args:
            early_media: False rings (SIP 180); True opens the audio before the answer (183).
            extra: sent as it is.
        """
        return await self.command(Accept.method, compose(Accept, {"early_media": early_media}, extra))
