"""Have the text of a call while it is spoken."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Items, Number, Object, Text, Whole
from offhook.client.verbs.ai import AiSessionEvent
from offhook.client.words.compose import compose
from offhook.protocol.verbs.live_transcribe import LOG_EVENT, SUMMARY_EVENT, UTTERANCE_EVENT, LiveTranscribe

__all__ = [
    "LiveTranscribeAction",
    "LiveTranscribeVerb",
    "TranscriptLogEvent",
    "TranscriptUtteranceEvent",
]

Party = Literal["remote-caller", "local-caller"]


class LiveOptions(TypedDict, total=False):
    """What transcription and translation have in common.

    ``direction``: whose speech. Without ``webhook`` events come over the connection; ``live_events``: while people
    speak; ``verbose_utterances``: with all that is known of them. ``ai_summary``: make one at the end, as
    ``ai_summary_prompt`` says. ``speech_timeout`` (default 60000) and ``vad_silence_ms`` are milliseconds;
    ``vad_thresh`` 0 to 1800, default 400. ``speech_engine``: default deepgram. ``hints``: words to expect.
    ``debug_level``: 0 to 2.
    """

    direction: list[Party]
    webhook: str
    live_events: bool
    ai_summary: bool
    ai_summary_prompt: str
    speech_timeout: int
    vad_silence_ms: int
    vad_thresh: int
    speech_engine: Literal["deepgram", "google"]
    hints: list[str]
    verbose_utterances: bool
    debug_level: int


class LiveTranscribeStart(LiveOptions, total=False):
    """``language``: such as en-US; some services know it as ``lang``, which they want with ``direction``."""

    language: str
    lang: str


class Summarize(TypedDict, total=False):
    """``webhook`` gets the summary; ``prompt`` says how to make it."""

    webhook: str
    prompt: str


class TranscriptUtteranceEvent(AiSessionEvent, of=UTTERANCE_EVENT):
    """An utterance of a live transcription."""

    __slots__ = ()

    utterance = Object("utterance")
    """All of it."""
    role = Text("utterance.role")
    """``remote-caller`` or ``local-caller``."""
    text = Text("utterance.content")
    """What was said."""
    language = Text("utterance.lang")
    """In what language."""
    confidence = Number("utterance.confidence")
    """How sure the recogniser is, 0 to 1."""
    timestamp_us = Whole("utterance.timestamp")
    """When: microseconds of the Unix epoch."""


class TranscriptLogEvent(AiSessionEvent, of=(SUMMARY_EVENT, LOG_EVENT)):
    """The conversation so far (``live_summarize``) or at the end (``conversation_log``)."""

    __slots__ = ()

    conversation_log = Items("conversation_log")
    """Entries with ``role`` and ``content``."""
    conversation_summary = Text("conversation_summary")
    """In short."""
    metrics = Object("metrics")
    """Turns and words of both sides, at the end."""


class LiveTranscribeAction(TypedDict, total=False):
    """Exactly one of the three: ``start``, ``stop`` (an empty dict) and ``summarize``."""

    start: LiveTranscribeStart
    stop: dict[str, Any]
    summarize: Summarize


class LiveTranscribeVerb(CallBase):
    """``live_transcribe``."""

    async def live_transcribe(
        self, action_obj: LiveTranscribeAction | Literal["stop", "summarize"], **extra: Any
    ) -> dict[str, Any]:
        """Start, stop or summarise a live transcription: ``{"start": {"language": "en-US"}}``.

        ``calling.ai.transcribe.*`` tell what is said.

        Args:
            action_obj: what to do: exactly one of ``start``, ``stop`` and ``summarize``, with its settings.
            extra: sent as it is.
        """
        return await self.command(LiveTranscribe.method, compose(LiveTranscribe, {"action": action_obj}, extra))
