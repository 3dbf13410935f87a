"""``calling.transcribe``: record the call and have it transcribed (relay-protocol 4.12 and 7.6)."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import ControlParams, Url
from offhook.protocol.spec import VerbSpec

__all__ = ["EVENT", "SPECS", "Transcribe", "TranscribeEvent", "TranscribeStop"]

EVENT: Final = "calling.call.transcribe"


class Transcribe(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.transcribe``. The text goes to ``status_url`` alone; the result carries ``url``."""

    method: ClassVar[str] = "calling.transcribe"
    accepted: ClassVar[str] = "Transcribing"

    status_url: Url | None = None


class TranscribeStop(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.transcribe.stop``."""

    method: ClassVar[str] = "calling.transcribe.stop"
    accepted: ClassVar[str] = "Stopping transcribe"


class TranscribeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.transcribe``. ``duration`` and times are seconds, with ``finished`` alone."""

    node_id: str
    call_id: str
    segment_id: str
    control_id: str
    state: Literal["transcribing", "finished"]
    url: str = ""
    recording_id: str = ""
    status_url: str = ""
    duration: float | msgspec.UnsetType = msgspec.UNSET
    size: int | msgspec.UnsetType = msgspec.UNSET
    start_time: float | msgspec.UnsetType = msgspec.UNSET
    end_time: float | msgspec.UnsetType = msgspec.UNSET


SPECS: Final = (
    VerbSpec(
        section=(4, 12),
        start=Transcribe,
        commands=(TranscribeStop,),
        event=EVENT,
        lost=({"state": "finished"},),
        not_found="call",
        exclusive="transcribe",
    ),
)
