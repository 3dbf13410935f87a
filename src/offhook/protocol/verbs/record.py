"""``calling.record`` and its commands (relay-protocol 4.3)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import ControlParams, Digits, Seconds, Url
from offhook.protocol.spec import EventFields, VerbSpec
from offhook.protocol.states import RecordState

__all__ = [
    "EVENT",
    "SPECS",
    "Record",
    "RecordAudio",
    "RecordEvent",
    "RecordPause",
    "RecordResume",
    "RecordSettings",
    "RecordStop",
    "RecordedAudio",
    "RecordedSettings",
]

EVENT: Final = "calling.call.record"

RecordFormat = Literal["mp3", "wav", "mp4"]
RecordDirection = Literal["listen", "speak", "both"]
PauseBehavior = Literal["skip", "silence"]


class RecordAudio(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to record and when to end. Timeouts are seconds, 0 is off.

    ``format`` None: the node's choice, told by the event. ``input_sensitivity``: the higher, the quieter the speech
    that counts.
    """

    beep: bool = False
    format: RecordFormat | None = None
    stereo: bool = False
    direction: RecordDirection = "speak"
    initial_timeout: Seconds = 0.0
    end_silence_timeout: Seconds = 0.0
    terminators: Digits = "#"
    max_length: Seconds = 0.0
    input_sensitivity: Annotated[float, msgspec.Meta(ge=0, le=100, description="a number from 0 to 100")] = 44.0


class RecordSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The ``record`` object."""

    audio: RecordAudio


class Record(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.record``."""

    method: ClassVar[str] = "calling.record"
    accepted: ClassVar[str] = "Recording"

    record: RecordSettings
    status_url: Url | None = None


class RecordPause(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.record.pause``. ``skip`` cuts the paused span out, ``silence`` keeps it as silence."""

    method: ClassVar[str] = "calling.record.pause"
    accepted: ClassVar[str] = "Pausing recording"

    behavior: PauseBehavior = "skip"


class RecordResume(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.record.resume``."""

    method: ClassVar[str] = "calling.record.resume"
    accepted: ClassVar[str] = "Resuming recording"


class RecordStop(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.record.stop``."""

    method: ClassVar[str] = "calling.record.stop"
    accepted: ClassVar[str] = "Stopping recording"


class RecordedAudio(msgspec.Struct, frozen=True, kw_only=True):
    """How it was recorded."""

    format: RecordFormat
    stereo: bool
    direction: RecordDirection


class RecordedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The ``record`` object of the event."""

    audio: RecordedAudio


class RecordEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.record``. From ``url`` on: with ``finished``.

    ``duration`` and times are seconds (times of the Unix epoch), ``size`` is bytes. ``url`` may be given early.
    """

    node_id: str
    call_id: str
    segment_id: str
    control_id: str
    state: RecordState
    recording_id: str
    record: RecordedSettings
    tag: str = ""
    url: str | msgspec.UnsetType = msgspec.UNSET
    duration: float | msgspec.UnsetType = msgspec.UNSET
    size: int | msgspec.UnsetType = msgspec.UNSET
    start_time: float | msgspec.UnsetType = msgspec.UNSET
    first_frame_time: float | msgspec.UnsetType = msgspec.UNSET
    end_time: float | msgspec.UnsetType = msgspec.UNSET
    pause_behavior: PauseBehavior | msgspec.UnsetType = msgspec.UNSET


def is_recorded(params: EventFields) -> bool:
    """Whether this event is the last of a recording: there is one that never began."""
    return params.get("state") in ("finished", "no_input", "error")


SPECS: Final = (
    VerbSpec(
        section=(4, 3),
        start=Record,
        commands=(RecordPause, RecordResume, RecordStop),
        event=EVENT,
        not_found="call",
        is_end=is_recorded,
        lost=({"state": "error"}, {"state": "no_input"}),
        outlives_node=True,
    ),
)
