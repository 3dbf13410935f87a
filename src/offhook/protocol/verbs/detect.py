"""``calling.detect``: answering machines, fax tones, digits (relay-protocol 4.6)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import ControlParams, Digits, PositiveSeconds, Seconds, Url
from offhook.protocol.spec import EventFields, VerbSpec

__all__ = [
    "EVENT",
    "SPECS",
    "Detect",
    "DetectDigit",
    "DetectEvent",
    "DetectFax",
    "DetectMachine",
    "DetectStop",
    "Detected",
    "DigitParams",
    "FaxParams",
    "MachineParams",
]

EVENT: Final = "calling.call.detect"


class MachineParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How to tell a machine from a person. Times are seconds.

    ``machine_ready_timeout`` None: as ``end_silence_timeout``. ``machine_voice_threshold``: a longer utterance is a
    machine; so are ``machine_words_threshold`` words. ``detect_interruptions``: tell NOT_READY when the greeting goes
    on. ``detect_message_end`` false: end at MACHINE, without waiting for the beep.
    """

    initial_timeout: PositiveSeconds = 4.5
    end_silence_timeout: PositiveSeconds = 1.0
    machine_ready_timeout: PositiveSeconds | None = None
    machine_voice_threshold: PositiveSeconds = 1.25
    machine_words_threshold: Annotated[int, msgspec.Meta(gt=0, description="a whole number greater than 0")] = 6
    detect_interruptions: bool = False
    detect_message_end: bool = True


class FaxParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``CED``: the tone of a called fax; ``CNG``: that of a calling one."""

    tone: Literal["CED", "CNG"] = "CED"


class DigitParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which keys count."""

    digits: Digits = "0123456789#*"


class DetectMachine(msgspec.Struct, frozen=True, tag="machine", tag_field="type"):
    """Who answered?"""

    params: MachineParams = MachineParams()


class DetectFax(msgspec.Struct, frozen=True, tag="fax", tag_field="type"):
    """Is it a fax?"""

    params: FaxParams = FaxParams()


class DetectDigit(msgspec.Struct, frozen=True, tag="digit", tag_field="type"):
    """Is a key pressed?"""

    params: DigitParams = DigitParams()


class Detect(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.detect``. ``timeout``: seconds until it gives up."""

    method: ClassVar[str] = "calling.detect"
    accepted: ClassVar[str] = "Detecting"

    detect: DetectMachine | DetectFax | DetectDigit
    timeout: Seconds = 30.0
    status_url: Url | None = None


class DetectStop(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.detect.stop``."""

    method: ClassVar[str] = "calling.detect.stop"
    accepted: ClassVar[str] = "Stopping detect"


class Detected(msgspec.Struct, frozen=True):
    """What was found. Params: ``event`` is MACHINE, HUMAN, UNKNOWN, READY, NOT_READY, CED, CNG, a key or finished.

    ``beep`` true with READY: a beep was heard.
    """

    type: Literal["machine", "fax", "digit"]
    params: dict[str, Any]


class DetectEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.detect``."""

    node_id: str
    call_id: str
    control_id: str
    detect: Detected
    segment_id: str | msgspec.UnsetType = msgspec.UNSET


def _word(params: EventFields) -> str:
    detected = params.get("detect")
    said = detected.get("params") if isinstance(detected, dict) else None
    word = said.get("event") if isinstance(said, dict) else None
    return word if isinstance(word, str) else ""


def is_detected(params: EventFields) -> bool:
    """Whether this event says what was detected; the detector goes on."""
    return _word(params) not in ("", "finished", "error")


def is_detection_over(params: EventFields) -> bool:
    """Whether this event is the last of a detector."""
    return _word(params) in ("finished", "error")


SPECS: Final = (
    VerbSpec(
        section=(4, 6),
        start=Detect,
        commands=(DetectStop,),
        event=EVENT,
        is_end=is_detection_over,
        is_result=is_detected,
        lost=({"detect": {"type": "machine", "params": {"event": "error"}}},),
        not_found="call",
    ),
)
