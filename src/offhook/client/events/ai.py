"""Events of agents, live transcription and translation."""

from __future__ import annotations

from offhook.client.events.base import Flag, Items, Number, Object, RelayEvent, StateOfAction, Text, Whole, text_of

__all__ = [
    "AiCompletionEvent",
    "AiEvent",
    "AiPartialResultEvent",
    "AiPostPromptEvent",
    "AiResponseEvent",
    "AiSessionEvent",
    "AiSidecarEvent",
    "AiSpeechEvent",
    "AiStopEvent",
    "AiSwaigEvent",
    "AiUtteranceEvent",
    "AiWarningEvent",
    "TranscriptLogEvent",
    "TranscriptUtteranceEvent",
    "TranslateDeltaEvent",
    "TranslateLogEvent",
]


class AiSessionEvent(RelayEvent):
    """Something happened in an agent's session (``calling.ai.*``); types without more to say are of this class."""

    __slots__ = ()


class AiEvent(StateOfAction):
    """The session is over. ``state``: ``finished`` or ``error``."""

    __slots__ = ()


class AiStopEvent(AiSessionEvent):
    """The session stopped."""

    __slots__ = ()

    state = Text("state")
    """Empty, as the server says none with this event; it is here for who waits for an agent's end, whichever it is."""
    start_time_us = Whole("start_time")
    """When it began: microseconds of the Unix epoch."""
    end_time_us = Whole("end_time")
    """When it ended: microseconds of the Unix epoch."""
    billing = Object("billing")
    """``this_visit`` and ``cumulative``."""


class AiSpeechEvent(AiSessionEvent):
    """The caller said something (``speech_detect``), or talked on (``transparent_barge``)."""

    __slots__ = ()

    @property
    def text(self) -> str:
        """What was said."""
        return text_of(self.params, "text") or text_of(self.params, "combined_text")


class AiPartialResultEvent(AiSessionEvent):
    """The caller is saying something."""

    __slots__ = ()

    text = Text("text")
    """What was heard so far."""
    barged = Flag("barged")
    """It interrupted the agent."""


class AiResponseEvent(AiSessionEvent):
    """The agent's answer."""

    __slots__ = ()

    response = Text("response")
    """Its text."""


class AiUtteranceEvent(AiSessionEvent):
    """A piece of the agent's answer, as it is spoken."""

    __slots__ = ()

    utterance = Text("utterance")
    """Its text."""


class AiCompletionEvent(AiSessionEvent):
    """The agent finished speaking, or was interrupted."""

    __slots__ = ()

    text = Text("text")
    """What was spoken."""
    type = Text("type")
    """``normal`` or ``barged``."""


class AiWarningEvent(AiSessionEvent):
    """Something about the session wants attention."""

    __slots__ = ()

    error = Text("error")
    """What."""
    tokens = Number("tokens")
    """How many tokens it is about."""


class AiSwaigEvent(AiSessionEvent):
    """The agent called a function (``swaig``), or an action ran (``swaig_action``): its keys are in ``params``."""

    __slots__ = ()

    command_name = Text("command_name")
    """The function."""
    command_arg = Text("command_arg")
    """Its arguments, JSON."""


class AiPostPromptEvent(AiSessionEvent):
    """What the agent made of the conversation."""

    __slots__ = ()

    data = Object("post_prompt_data")
    """``parsed``, ``raw`` and ``substituted``."""
    raw = Text("post_prompt_data.raw")
    """Its text."""


class AiSidecarEvent(AiSessionEvent):
    """An agent that listens beside the call."""

    __slots__ = ()

    sidecar_event = Object("sidecar_event")
    """All of it; its shape is not stable."""
    type = Text("sidecar_event.type")
    """``start``, ``insight``, ``ask_answer``, ``final`` and so on."""
    raw = Text("sidecar_event.raw")
    """Text of an insight or answer."""
    ask_id = Text("sidecar_event.ask_id")
    """The question that is answered."""


class TranscriptUtteranceEvent(AiSessionEvent):
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


class TranscriptLogEvent(AiSessionEvent):
    """The conversation so far (``live_summarize``) or at the end (``conversation_log``)."""

    __slots__ = ()

    conversation_log = Items("conversation_log")
    """Entries with ``role`` and ``content``."""
    conversation_summary = Text("conversation_summary")
    """In short."""
    metrics = Object("metrics")
    """Turns and words of both sides, at the end."""


class TranslateDeltaEvent(AiSessionEvent):
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


class TranslateLogEvent(AiSessionEvent):
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
