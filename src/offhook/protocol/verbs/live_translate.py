"""``calling.live_translate``: what is said, in the other's language (relay-protocol 4.12)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import CallParams, Url
from offhook.protocol.spec import VerbSpec
from offhook.protocol.verbs.live_transcribe import LiveOptions, Party, Summarize, is_one_action

__all__ = [
    "DELTA_EVENT",
    "LOG_EVENT",
    "SPECS",
    "SUMMARY_EVENT",
    "Inject",
    "LiveTranslate",
    "LiveTranslateAction",
    "LiveTranslateStart",
]

DELTA_EVENT: Final = "calling.ai.translate.transcript_delta"
SUMMARY_EVENT: Final = "calling.ai.translate.live_summary"
LOG_EVENT: Final = "calling.ai.translate.conversation_log"

ACTION_WANTED = "an object with exactly one of `start`, `stop`, `summarize`, `inject`, or the text stop or summarize"


class LiveTranslateStart(LiveOptions, frozen=True, kw_only=True):
    """Begin. ``source`` and ``target`` are other names of ``from_lang`` and ``to_lang``, which go before them.

    Filters: polite, rude, professional, shakespeare, gen-z, or ``prompt:<text>``.
    """

    from_lang: str | None = None
    to_lang: str | None = None
    source: str | None = None
    target: str | None = None
    from_voice: str | None = None
    to_voice: str | None = None
    filter_from: str | None = None
    filter_to: str | None = None
    mode: Literal["classic", "realtime"] = "classic"


class Inject(msgspec.Struct, frozen=True, kw_only=True):
    """A message to translate and speak to one of the two."""

    message: str
    direction: Party

    def __repr__(self) -> str:
        return f"Inject(message=<{len(self.message)} characters>, direction={self.direction!r})"


class LiveTranslateAction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Exactly one of the four."""

    start: LiveTranslateStart | None = None
    stop: dict[str, Any] | None = None
    summarize: Summarize | None = None
    inject: Inject | None = None

    def __post_init__(self) -> None:
        if not is_one_action(self.start, self.stop, self.summarize, self.inject):
            raise ValueError(f"`action` must be {ACTION_WANTED}")


class LiveTranslate(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.live_translate``."""

    method: ClassVar[str] = "calling.live_translate"
    accepted: ClassVar[str] = "+OK"

    action: Annotated[LiveTranslateAction | Literal["stop", "summarize"], msgspec.Meta(description=ACTION_WANTED)]
    status_url: Url | None = None


SPECS: Final = (VerbSpec(section=(4, 12), start=LiveTranslate, tells=(DELTA_EVENT, SUMMARY_EVENT, LOG_EVENT)),)
