"""``calling.denoise`` and ``calling.denoise.stop`` (relay-protocol 4.11)."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from offhook.protocol.params import CallParams
from offhook.protocol.spec import VerbSpec

__all__ = ["EVENT", "SPECS", "Denoise", "DenoiseEvent", "DenoiseStop"]

EVENT: Final = "calling.call.denoise"


class Denoise(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.denoise``."""

    method: ClassVar[str] = "calling.denoise"
    accepted: ClassVar[str] = "Denoiser on"


class DenoiseStop(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.denoise.stop``."""

    method: ClassVar[str] = "calling.denoise.stop"
    accepted: ClassVar[str] = "Denoiser off"


class DenoiseEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.denoise``."""

    node_id: str
    call_id: str
    segment_id: str
    denoised: bool


SPECS: Final = (VerbSpec(section=(4, 11), start=Denoise, commands=(DenoiseStop,), tells=(EVENT,), not_found="call"),)
