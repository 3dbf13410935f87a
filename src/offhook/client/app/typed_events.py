"""What a client hears, typed by the name of the event. Made by ``make generate`` from the verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, overload

from offhook.client.events import (
    CallReceiveEvent,
    CallStateEvent,
    DialEvent,
    ErrorEvent,
    MessageReceiveEvent,
    MessageStateEvent,
    RelayEvent,
    TaskEvent,
)
from offhook.client.listening.all_events import AllEvents
from offhook.client.listening.tasks import Handler
from offhook.client.verbs.ai import (
    AiCompletionEvent,
    AiEvent,
    AiPartialResultEvent,
    AiPostPromptEvent,
    AiResponseEvent,
    AiSessionEvent,
    AiSpeechEvent,
    AiStopEvent,
    AiSwaigEvent,
    AiUtteranceEvent,
    AiWarningEvent,
)
from offhook.client.verbs.ai_sidecar import AiSidecarEvent
from offhook.client.verbs.collect import CollectEvent
from offhook.client.verbs.connect import ConnectEvent
from offhook.client.verbs.denoise import DenoiseEvent
from offhook.client.verbs.detect import DetectEvent
from offhook.client.verbs.echo import EchoEvent
from offhook.client.verbs.fax import FaxEvent
from offhook.client.verbs.hold import HoldEvent
from offhook.client.verbs.join_conference import ConferenceEvent
from offhook.client.verbs.join_room import RoomEvent
from offhook.client.verbs.live_transcribe import TranscriptLogEvent, TranscriptUtteranceEvent
from offhook.client.verbs.live_translate import TranslateDeltaEvent, TranslateLogEvent
from offhook.client.verbs.pay import PayEvent
from offhook.client.verbs.play import PlayEvent
from offhook.client.verbs.queue import QueueEvent
from offhook.client.verbs.record import RecordEvent
from offhook.client.verbs.refer import ReferEvent
from offhook.client.verbs.send_digits import SendDigitsEvent
from offhook.client.verbs.stream import StreamEvent
from offhook.client.verbs.tap import TapEvent
from offhook.client.verbs.transcribe import TranscribeEvent
from offhook.client.verbs.user_event import UserEvent

__all__ = ["TypedClientEvents"]


class TypedClientEvents(AllEvents):
    """An overload for each class of event: an editor completes the names, and knows what comes."""

    @overload
    def on(
        self,
        event_type: Literal["calling.ai.begin_speaking", "calling.ai.start", "calling.ai.user_speaking"],
        handler: Handler[AiSessionEvent],
    ) -> Callable[[], None]: ...
    @overload
    def on(
        self, event_type: Literal["calling.ai.completion"], handler: Handler[AiCompletionEvent]
    ) -> Callable[[], None]: ...
    @overload
    def on(
        self, event_type: Literal["calling.ai.partial_result"], handler: Handler[AiPartialResultEvent]
    ) -> Callable[[], None]: ...
    @overload
    def on(
        self, event_type: Literal["calling.ai.post_prompt"], handler: Handler[AiPostPromptEvent]
    ) -> Callable[[], None]: ...
    @overload
    def on(
        self, event_type: Literal["calling.ai.response"], handler: Handler[AiResponseEvent]
    ) -> Callable[[], None]: ...
    @overload
    def on(
        self, event_type: Literal["calling.ai.response_utterance"], handler: Handler[AiUtteranceEvent]
    ) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.ai.sidecar"], handler: Handler[AiSidecarEvent]) -> Callable[[], None]: ...
    @overload
    def on(
        self,
        event_type: Literal["calling.ai.speech_detect", "calling.ai.transparent_barge"],
        handler: Handler[AiSpeechEvent],
    ) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.ai.stop"], handler: Handler[AiStopEvent]) -> Callable[[], None]: ...
    @overload
    def on(
        self, event_type: Literal["calling.ai.swaig", "calling.ai.swaig_action"], handler: Handler[AiSwaigEvent]
    ) -> Callable[[], None]: ...
    @overload
    def on(
        self,
        event_type: Literal["calling.ai.transcribe.conversation_log", "calling.ai.transcribe.live_summarize"],
        handler: Handler[TranscriptLogEvent],
    ) -> Callable[[], None]: ...
    @overload
    def on(
        self, event_type: Literal["calling.ai.transcribe.utterance"], handler: Handler[TranscriptUtteranceEvent]
    ) -> Callable[[], None]: ...
    @overload
    def on(
        self,
        event_type: Literal["calling.ai.translate.conversation_log", "calling.ai.translate.live_summary"],
        handler: Handler[TranslateLogEvent],
    ) -> Callable[[], None]: ...
    @overload
    def on(
        self, event_type: Literal["calling.ai.translate.transcript_delta"], handler: Handler[TranslateDeltaEvent]
    ) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.ai.warning"], handler: Handler[AiWarningEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.ai"], handler: Handler[AiEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.collect"], handler: Handler[CollectEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.connect"], handler: Handler[ConnectEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.denoise"], handler: Handler[DenoiseEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.detect"], handler: Handler[DetectEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.dial"], handler: Handler[DialEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.echo"], handler: Handler[EchoEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.fax"], handler: Handler[FaxEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.hold"], handler: Handler[HoldEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.pay"], handler: Handler[PayEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.play"], handler: Handler[PlayEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.queue"], handler: Handler[QueueEvent]) -> Callable[[], None]: ...
    @overload
    def on(
        self, event_type: Literal["calling.call.receive"], handler: Handler[CallReceiveEvent]
    ) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.record"], handler: Handler[RecordEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.refer"], handler: Handler[ReferEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.room"], handler: Handler[RoomEvent]) -> Callable[[], None]: ...
    @overload
    def on(
        self, event_type: Literal["calling.call.send_digits"], handler: Handler[SendDigitsEvent]
    ) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.state"], handler: Handler[CallStateEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.stream"], handler: Handler[StreamEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.call.tap"], handler: Handler[TapEvent]) -> Callable[[], None]: ...
    @overload
    def on(
        self, event_type: Literal["calling.call.transcribe"], handler: Handler[TranscribeEvent]
    ) -> Callable[[], None]: ...
    @overload
    def on(
        self, event_type: Literal["calling.conference"], handler: Handler[ConferenceEvent]
    ) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.error"], handler: Handler[ErrorEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["calling.user_event"], handler: Handler[UserEvent]) -> Callable[[], None]: ...
    @overload
    def on(
        self, event_type: Literal["messaging.receive"], handler: Handler[MessageReceiveEvent]
    ) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["messaging.state"], handler: Handler[MessageStateEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: Literal["queuing.relay.tasks"], handler: Handler[TaskEvent]) -> Callable[[], None]: ...
    @overload
    def on(self, event_type: str, handler: Handler[RelayEvent]) -> Callable[[], None]: ...
    def on(self, event_type: str, handler: Handler[Any]) -> Callable[[], None]:
        """Have a handler called at each event of a type, with the type's class, whatever call it is of, if any.

        Only here come tasks (``queuing.relay.tasks``), what a conference as such tells (``calling.conference`` has a
        call only where it is about a participant), and what other applications say of calls that are theirs
        (``calling.user_event``). Events of calls come after the call's own handlers, those of messages after the
        message's. Handlers run as those of ``call.on`` do. The result removes the handler.

        Args:
            event_type: such as ``queuing.relay.tasks``; types that are not known here can be listened to as well.
            handler: sync or async, gets the event. Its failures are logged.
        """
        return super().on(event_type, handler)
