"""Give the call away: to another program, or to an SWML script."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.words.compose import compose
from offhook.protocol.verbs.transfer import Transfer

__all__ = ["TransferVerb"]


class TransferVerb(CallBase):
    """``transfer``."""

    async def transfer(self, dest: str | dict[str, Any], **extra: Any) -> dict[str, Any]:
        """Give the call to another application or SWML script.

        Open actions and ``wait_for_ended`` then end with cause ``released``; later commands raise CallReleased.

        Args:
            dest: an ``https://`` URL of SWML, ``context:<name>``, or an inline SWML document.
            extra: sent as it is.
        """
        result = await self.command(Transfer.method, compose(Transfer, {"dest": dest}, extra))
        if result:
            self.close("released")
        return result
