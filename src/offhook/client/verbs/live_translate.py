"""Have two parties speak two languages, each hearing their own."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Items, Object, Text
from offhook.client.verbs.ai import AiSessionEvent
from offhook.client.verbs.live_transcribe import LiveOptions, Party, Summarize
from offhook.client.words.compose import compose
from offhook.protocol.verbs.live_translate import DELTA_EVENT, LOG_EVENT, SUMMARY_EVENT, LiveTranslate

__all__ = ["LiveTranslateAction", "LiveTranslateVerb", "TranslateDeltaEvent", "TranslateLogEvent"]


class LiveTranslateStart(LiveOptions, total=False):
    """``source``, ``target``: such as en-US and es; some services know them as ``from_lang`` and ``to_lang``.

    ``from_voice``, ``to_voice``: who speaks them. ``filter_from``, ``filter_to``: polite, rude, professional,
    shakespeare, gen-z, or ``prompt:<text>``. ``mode``: default classic.
    """

    source: str
    target: str
    from_lang: str
    to_lang: str
    from_voice: str
    to_voice: str
    filter_from: str
    filter_to: str
    mode: Literal["classic", "realtime"]


class Inject(TypedDict):
    """A ``message`` to translate, and to speak in the ``direction`` of one of the two."""

    message: str
    direction: Party


class TranslateDeltaEvent(AiSessionEvent, of=DELTA_EVENT):
    """A piece of speech and its translation."""

    __slots__ = ()

    input_text = Text("input_utterance.delta")
    """As spoken."""
    input_language = Text("input_utterance.language")
    """Language of the speaker."""
    output_text = Text("output_utterance.delta")
    """As translated."""
    output_language = Text("output_utterance.language")
    """Language of the listener."""


class TranslateLogEvent(AiSessionEvent, of=(SUMMARY_EVENT, LOG_EVENT)):
    """The conversation in both languages, so far (``live_summary``) or at the end (``conversation_log``)."""

    __slots__ = ()

    primary_log = Items("primary_conversation_log")
    """In the language it was spoken in."""
    secondary_log = Items("secondary_conversation_log")
    """In the other."""
    primary_summary = Text("primary_conversation_summary")
    """In short, in the language it was spoken in."""
    secondary_summary = Text("secondary_conversation_summary")
    """In short, in the other."""
    translate_data = Object("translate_data")
    """Languages, voices and filters of both sides."""


class LiveTranslateAction(TypedDict, total=False):
    """Exactly one of the four: ``start``, ``stop`` (an empty dict), ``summarize`` and ``inject``."""

    start: LiveTranslateStart
    stop: dict[str, Any]
    summarize: Summarize
    inject: Inject


class LiveTranslateVerb(CallBase):
    """``live_translate``."""

    async def live_translate(
        self,
        action_obj: LiveTranslateAction | Literal["stop", "summarize"],
        *,
        status_url: str | None = None,
        **extra: Any,
    ) -> dict[str, Any]:
        """Start, stop, summarise or speak into a live translation: ``{"start": {"source": "en-US", "target": "es"}}``.

        ``calling.ai.translate.*`` tell what is said.

        Args:
            action_obj: what to do: exactly one of ``start``, ``stop``, ``summarize`` and ``inject``, with its settings.
            status_url: reserved.
            extra: sent as it is.
        """
        given = {"action": action_obj, "status_url": status_url}
        return await self.command(LiveTranslate.method, compose(LiveTranslate, given, extra))
