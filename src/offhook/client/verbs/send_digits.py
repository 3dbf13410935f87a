"""Press keys: send DTMF to the party."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import StateOfAction
from offhook.client.words.compose import compose, new_id
from offhook.protocol.verbs.send_digits import EVENT, SendDigits

__all__ = ["SendDigitsEvent", "SendDigitsVerb"]


class SendDigitsEvent(StateOfAction, of=EVENT):
    """``state``: ``finished`` or ``error``."""

    __slots__ = ()


class SendDigitsVerb(CallBase):
    """``send_digits``."""

    async def send_digits(self, digits: str, *, control_id: str | None = None, **extra: Any) -> dict[str, Any]:
        """Send DTMF tones. Returns when the node took them; ``calling.call.send_digits`` tells when they were sent.

        Args:
            digits: ``0-9 * # A-D``; ``w`` pauses 0.5 s, ``W`` 1 s.
            control_id: id in the events, default a new UUID.
            extra: sent as it is.
        """
        given = {"control_id": control_id or new_id(), "digits": digits}
        return await self.command(SendDigits.method, compose(SendDigits, given, extra))
