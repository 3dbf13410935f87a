"""What a call tells, typed by the name of the event. Made by ``make generate`` from the verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, overload

from offhook.client.actions.call_base import CallBase
from offhook.client.events import CallStateEvent, ErrorEvent, RelayEvent
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

__all__ = ["TypedCallEvents"]


class TypedCallEvents(CallBase):
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
    def on(self, event_type: str, handler: Handler[RelayEvent]) -> Callable[[], None]: ...
    def on(self, event_type: str, handler: Handler[Any]) -> Callable[[], None]:
        """Have a handler called at each event of a type, with the type's class; the result removes it.

        Handlers run in the order registered, event after event. An async one runs beside what comes after it: the
        next begins when it first waits for something.

        Args:
            event_type: such as ``calling.call.play``; types that are not known here can be listened to as well.
            handler: sync or async, gets the event. Its failures are logged.
        """
        return super().on(event_type, handler)

    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.begin_speaking", "calling.ai.start", "calling.ai.user_speaking"],
        predicate: Callable[[AiSessionEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiSessionEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.completion"],
        predicate: Callable[[AiCompletionEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiCompletionEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.partial_result"],
        predicate: Callable[[AiPartialResultEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiPartialResultEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.post_prompt"],
        predicate: Callable[[AiPostPromptEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiPostPromptEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.response"],
        predicate: Callable[[AiResponseEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiResponseEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.response_utterance"],
        predicate: Callable[[AiUtteranceEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiUtteranceEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.sidecar"],
        predicate: Callable[[AiSidecarEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiSidecarEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.speech_detect", "calling.ai.transparent_barge"],
        predicate: Callable[[AiSpeechEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiSpeechEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.stop"],
        predicate: Callable[[AiStopEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiStopEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.swaig", "calling.ai.swaig_action"],
        predicate: Callable[[AiSwaigEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiSwaigEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.transcribe.conversation_log", "calling.ai.transcribe.live_summarize"],
        predicate: Callable[[TranscriptLogEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> TranscriptLogEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.transcribe.utterance"],
        predicate: Callable[[TranscriptUtteranceEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> TranscriptUtteranceEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.translate.conversation_log", "calling.ai.translate.live_summary"],
        predicate: Callable[[TranslateLogEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> TranslateLogEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.translate.transcript_delta"],
        predicate: Callable[[TranslateDeltaEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> TranslateDeltaEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.warning"],
        predicate: Callable[[AiWarningEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiWarningEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.ai"],
        predicate: Callable[[AiEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.collect"],
        predicate: Callable[[CollectEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> CollectEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.connect"],
        predicate: Callable[[ConnectEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> ConnectEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.denoise"],
        predicate: Callable[[DenoiseEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> DenoiseEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.detect"],
        predicate: Callable[[DetectEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> DetectEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.echo"],
        predicate: Callable[[EchoEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> EchoEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.fax"],
        predicate: Callable[[FaxEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> FaxEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.hold"],
        predicate: Callable[[HoldEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> HoldEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.pay"],
        predicate: Callable[[PayEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> PayEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.play"],
        predicate: Callable[[PlayEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> PlayEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.queue"],
        predicate: Callable[[QueueEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> QueueEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.record"],
        predicate: Callable[[RecordEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RecordEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.refer"],
        predicate: Callable[[ReferEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> ReferEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.room"],
        predicate: Callable[[RoomEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RoomEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.send_digits"],
        predicate: Callable[[SendDigitsEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> SendDigitsEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.state"],
        predicate: Callable[[CallStateEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> CallStateEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.stream"],
        predicate: Callable[[StreamEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> StreamEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.tap"],
        predicate: Callable[[TapEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> TapEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.call.transcribe"],
        predicate: Callable[[TranscribeEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> TranscribeEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.conference"],
        predicate: Callable[[ConferenceEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> ConferenceEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.error"],
        predicate: Callable[[ErrorEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> ErrorEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.user_event"],
        predicate: Callable[[UserEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> UserEvent: ...
    @overload
    async def wait_for(
        self, event_type: str, predicate: Callable[[RelayEvent], bool] | None = None, timeout: float | None = None
    ) -> RelayEvent: ...
    async def wait_for(
        self, event_type: str, predicate: Callable[[Any], bool] | None = None, timeout: float | None = None
    ) -> RelayEvent:
        """Wait for the next event of a type that the predicate accepts; earlier ones do not count.

        When the call is over before it comes, an event of the same class is returned, with a ``cause`` and empty
        params: its attributes read as empty.

        Args:
            event_type: such as ``calling.call.play``, or one that is not known here.
            predicate: says of an event of that type whether it is the one, default any. Its failures are logged, and
                count as no.
            timeout: seconds, default as long as the call lasts.

        Raises:
            TimeoutError: after ``timeout`` seconds.
        """
        return await super().wait_for(event_type, predicate, timeout)
