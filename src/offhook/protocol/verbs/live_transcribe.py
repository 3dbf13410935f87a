"""``calling.live_transcribe``: what is said, as it is said (relay-protocol 4.12). Shared with ``live_translate``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import CallParams, Url
from offhook.protocol.spec import VerbSpec

__all__ = [
    "ACTION_WANTED",
    "LOG_EVENT",
    "SPECS",
    "SUMMARY_EVENT",
    "UTTERANCE_EVENT",
    "LiveOptions",
    "LiveTranscribe",
    "LiveTranscribeAction",
    "LiveTranscribeStart",
    "Party",
    "Summarize",
    "is_one_action",
]

UTTERANCE_EVENT: Final = "calling.ai.transcribe.utterance"
SUMMARY_EVENT: Final = "calling.ai.transcribe.live_summarize"
LOG_EVENT: Final = "calling.ai.transcribe.conversation_log"

Party = Literal["remote-caller", "local-caller"]
ACTION_WANTED = "an object with exactly one of `start`, `stop`, `summarize`, or the text stop or summarize"


class Summarize(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Summarise what was said so far."""

    webhook: Url | None = None
    prompt: str | None = None


class LiveOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What transcription and translation have in common. ``*_timeout`` and ``*_ms`` are milliseconds.

    Without ``webhook`` events come over the connection. ``direction``: whose speech; absent: both.
    """

    direction: list[Party] = msgspec.field(default_factory=lambda: ["remote-caller", "local-caller"])
    webhook: Url | None = None
    live_events: bool | None = None
    ai_summary: bool | None = None
    ai_summary_prompt: str | None = None
    speech_timeout: Annotated[int, msgspec.Meta(ge=0, description="a whole number of milliseconds")] = 60_000
    vad_silence_ms: Annotated[int, msgspec.Meta(ge=0, description="a whole number of milliseconds")] | None = None
    vad_thresh: Annotated[int, msgspec.Meta(ge=0, le=1800, description="a whole number from 0 to 1800")] = 400
    speech_engine: Literal["deepgram", "google"] = "deepgram"
    hints: list[str] = msgspec.field(default_factory=list)
    verbose_utterances: bool | None = None
    debug_level: Annotated[int, msgspec.Meta(ge=0, le=2, description="0, 1 or 2")] | None = None


class LiveTranscribeStart(LiveOptions, frozen=True, kw_only=True):
    """Begin. ``language`` is another name of ``lang``, which goes before it."""

    lang: str | None = None
    language: str | None = None


class LiveTranscribeAction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Exactly one of the three."""

    start: LiveTranscribeStart | None = None
    stop: dict[str, Any] | None = None
    summarize: Summarize | None = None

    def __post_init__(self) -> None:
        if not is_one_action(self.start, self.stop, self.summarize):
            raise ValueError(f"`action` must be {ACTION_WANTED}")


class LiveTranscribe(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.live_transcribe``."""

    method: ClassVar[str] = "calling.live_transcribe"
    accepted: ClassVar[str] = "+OK"

    action: Annotated[LiveTranscribeAction | Literal["stop", "summarize"], msgspec.Meta(description=ACTION_WANTED)]


def is_one_action(*given: object) -> bool:
    """Say whether exactly one was given."""
    return sum(one is not None for one in given) == 1


SPECS: Final = (VerbSpec(section=(4, 12), start=LiveTranscribe, tells=(UTTERANCE_EVENT, SUMMARY_EVENT, LOG_EVENT)),)
