"""Send DTMF."""

from __future__ import annotations

from typing import Any

from offhook.client.base import CallBase
from offhook.client.compose import compose, new_id
from offhook.protocol.verbs.send_digits import SendDigits

__all__ = ["SendDigitsVerb"]


class SendDigitsVerb(CallBase):
    """``send_digits``."""

    async def send_digits(self, digits: str, *, control_id: str | None = None, **extra: Any) -> dict[str, Any]:
        """Send DTMF tones: ``0-9 * # A-D``, ``w`` for a pause of 0.5 s, ``W`` of 1 s.

        Returns when the node took them; ``calling.call.send_digits`` tells when they were sent.
        """
        given = {"control_id": control_id or new_id(), "digits": digits}
        return await self.command(SendDigits.method, compose(SendDigits, given, extra))
