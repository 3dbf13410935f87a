"""``calling.collect`` and its commands; the words of input that ``play_and_collect`` shares (relay-protocol 4.4)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import ControlParams, Digits, PositiveSeconds, Url
from offhook.protocol.spec import EventFields, VerbSpec, is_finished
from offhook.protocol.states import CollectResultType, CollectState

__all__ = [
    "DEFAULT_INITIAL_TIMEOUT_S",
    "EVENT",
    "SPECS",
    "Collect",
    "CollectDigits",
    "CollectEvent",
    "CollectResult",
    "CollectSpeech",
    "CollectStartInputTimers",
    "CollectStop",
]

EVENT: Final = "calling.call.collect"
DEFAULT_INITIAL_TIMEOUT_S: Final = 4.0


class CollectDigits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How to collect digits. ``digit_timeout``: seconds between two keys. A terminator is reported on its own."""

    max: Annotated[int, msgspec.Meta(ge=1, description="a whole number, 1 or more")]
    terminators: Digits = ""
    digit_timeout: PositiveSeconds = 5.0


class CollectSpeech(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How to collect speech. ``end_silence_timeout`` and ``speech_timeout`` are seconds; ``engine`` is deprecated."""

    end_silence_timeout: PositiveSeconds = 1.0
    speech_timeout: PositiveSeconds = 60.0
    language: str = "en-US"
    hints: list[str] = []
    model: str | None = None
    engine: Literal["Deepgram", "Google", "Google.V2"] | None = None


class Collect(ControlParams, frozen=True, kw_only=True, rename={"continue_": "continue"}):
    """Params of ``calling.collect``: ``digits``, ``speech`` or both.

    ``initial_timeout`` counts while the timers run: from the start with ``start_input_timers``, else from the
    command of that name. ``continue_`` is a deprecated alias; ``continuous`` goes before it.
    """

    method: ClassVar[str] = "calling.collect"
    accepted: ClassVar[str] = "Collecting"

    digits: CollectDigits | None = None
    speech: CollectSpeech | None = None
    initial_timeout: PositiveSeconds = DEFAULT_INITIAL_TIMEOUT_S
    start_input_timers: bool = False
    partial_results: bool = False
    continuous: bool | None = None
    continue_: bool = False
    send_start_of_input: bool = False
    status_url: Url | None = None

    def __post_init__(self) -> None:
        if self.digits is None and self.speech is None:
            raise ValueError("collect needs `digits` or `speech`, or both")

    @property
    def is_continuous(self) -> bool:
        """Re-arm after each result."""
        return self.continue_ if self.continuous is None else self.continuous


class CollectStop(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.collect.stop``."""

    method: ClassVar[str] = "calling.collect.stop"
    accepted: ClassVar[str] = "Stopping"


class CollectStartInputTimers(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.collect.start_input_timers``."""

    method: ClassVar[str] = "calling.collect.start_input_timers"
    accepted: ClassVar[str] = "Starting input timers"


class CollectResult(msgspec.Struct, frozen=True):
    """What was heard. Params: ``digits`` and ``terminator`` (digit); ``text`` and ``confidence`` 0-100 (speech)."""

    type: CollectResultType
    params: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return f"CollectResult(type={self.type.value!r})"


class CollectEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.collect``. One-shot events have no ``state``; ``final`` false: a partial result."""

    node_id: str
    call_id: str
    control_id: str
    result: CollectResult
    state: CollectState | msgspec.UnsetType = msgspec.UNSET
    final: bool | msgspec.UnsetType = msgspec.UNSET


def _heard(params: EventFields) -> str:
    result = params.get("result")
    kind = result.get("type") if isinstance(result, dict) else None
    return kind if isinstance(kind, str) else ""


def is_collected(params: EventFields) -> bool:
    """Whether this event is the last: by its state, or, of a collect that is not continuous, by what it brings."""
    if is_finished(params):
        return True
    is_update = params.get("final") is False or params.get("state") == "collecting"
    return _heard(params) not in ("", "start_of_input") and not is_update


def is_collecting_over(params: EventFields) -> bool:
    """Whether this event is the last of a collect that is continuous: what it hears does not end it."""
    return is_collected(params) and (is_finished(params) or _heard(params) in ("finished", "error"))


SPECS: Final = (
    VerbSpec(
        section=(4, 4),
        start=Collect,
        commands=(CollectStop, CollectStartInputTimers),
        event=EVENT,
        exclusive="collect",
        not_found="call",
        is_end=is_collected,
        lost=({"result": {"type": "error"}},),
        settles=True,
    ),
)
