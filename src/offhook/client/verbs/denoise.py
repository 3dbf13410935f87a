"""Take the noise out of what the party says, until it is left in again."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Flag, RelayEvent
from offhook.client.words.compose import compose
from offhook.protocol.verbs.denoise import EVENT, Denoise, DenoiseStop

__all__ = ["DenoiseEvent", "DenoiseVerb"]


class DenoiseEvent(RelayEvent, of=EVENT):
    """The denoiser was switched."""

    __slots__ = ()

    denoised = Flag("denoised")
    """It is on."""


class DenoiseVerb(CallBase):
    """``denoise`` and ``denoise_stop``."""

    async def denoise(self, **extra: Any) -> dict[str, Any]:
        """Take the noise out of what the party says."""
        return await self.command(Denoise.method, compose(Denoise, {}, extra))

    async def denoise_stop(self, **extra: Any) -> dict[str, Any]:
        """Leave the noise in again."""
        return await self.command(DenoiseStop.method, compose(DenoiseStop, {}, extra))
