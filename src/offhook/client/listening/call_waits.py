"""Who waits for an event or a state of a call, typed by the name of the event.

An overload for each type of event that a call gets, so that an editor completes the names and knows what comes: the
file is longer for it. A test holds them against the table of events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, Literal, overload

from offhook.client.events import (
    AiCompletionEvent,
    AiEvent,
    AiPartialResultEvent,
    AiPostPromptEvent,
    AiResponseEvent,
    AiSessionEvent,
    AiSidecarEvent,
    AiSpeechEvent,
    AiStopEvent,
    AiSwaigEvent,
    AiUtteranceEvent,
    AiWarningEvent,
    CallStateEvent,
    CollectEvent,
    ConferenceEvent,
    ConnectEvent,
    DenoiseEvent,
    DetectEvent,
    EchoEvent,
    ErrorEvent,
    FaxEvent,
    HoldEvent,
    PayEvent,
    PlayEvent,
    QueueEvent,
    RecordEvent,
    ReferEvent,
    RelayEvent,
    RoomEvent,
    SendDigitsEvent,
    StreamEvent,
    TapEvent,
    TranscribeEvent,
    TranscriptLogEvent,
    TranscriptUtteranceEvent,
    TranslateDeltaEvent,
    TranslateLogEvent,
    UserEvent,
    made_here,
)
from offhook.client.listening.wait import Wait
from offhook.protocol.states import CALL_STATE_ORDER, CallState
from offhook.protocol.verbs.state import STATE_EVENT

__all__ = ["CallWaits"]

log = logging.getLogger("offhook.client")

_MANY: Final = 100
_HELD_UP_S: Final = 0.1
"""How long each command takes, after so many on a call that is over."""


class CallWaits:
    """A call's waits, the states that it reached, and whether it is over."""

    call_id: str
    node_id: str
    state: str

    def __init__(self) -> None:
        self._waits: list[Wait] = []
        self._states: dict[str, CallStateEvent] = {}
        self._over: CallStateEvent | None = None
        self._asked_after = 0

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
        event_type: Literal["calling.call.connect"],
        predicate: Callable[[ConnectEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> ConnectEvent: ...
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
        event_type: Literal["calling.call.hold"],
        predicate: Callable[[HoldEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> HoldEvent: ...
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
        event_type: Literal["calling.call.echo"],
        predicate: Callable[[EchoEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> EchoEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.user_event"],
        predicate: Callable[[UserEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> UserEvent: ...
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
        event_type: Literal["calling.call.play"],
        predicate: Callable[[PlayEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> PlayEvent: ...
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
        event_type: Literal["calling.call.send_digits"],
        predicate: Callable[[SendDigitsEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> SendDigitsEvent: ...
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
        event_type: Literal["calling.call.tap"],
        predicate: Callable[[TapEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> TapEvent: ...
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
        event_type: Literal["calling.call.transcribe"],
        predicate: Callable[[TranscribeEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> TranscribeEvent: ...
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
        event_type: Literal["calling.call.detect"],
        predicate: Callable[[DetectEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> DetectEvent: ...
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
        event_type: Literal["calling.conference"],
        predicate: Callable[[ConferenceEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> ConferenceEvent: ...
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
        event_type: Literal["calling.call.queue"],
        predicate: Callable[[QueueEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> QueueEvent: ...
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
        event_type: Literal["calling.ai.stop"],
        predicate: Callable[[AiStopEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiStopEvent: ...
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
        event_type: Literal["calling.ai.start", "calling.ai.begin_speaking", "calling.ai.user_speaking"],
        predicate: Callable[[AiSessionEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiSessionEvent: ...
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
        event_type: Literal["calling.ai.partial_result"],
        predicate: Callable[[AiPartialResultEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiPartialResultEvent: ...
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
        event_type: Literal["calling.ai.completion"],
        predicate: Callable[[AiCompletionEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiCompletionEvent: ...
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
        event_type: Literal["calling.ai.post_prompt"],
        predicate: Callable[[AiPostPromptEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> AiPostPromptEvent: ...
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
        event_type: Literal["calling.ai.transcribe.utterance"],
        predicate: Callable[[TranscriptUtteranceEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> TranscriptUtteranceEvent: ...
    @overload
    async def wait_for(
        self,
        event_type: Literal["calling.ai.transcribe.live_summarize", "calling.ai.transcribe.conversation_log"],
        predicate: Callable[[TranscriptLogEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> TranscriptLogEvent: ...
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
        event_type: Literal["calling.ai.translate.live_summary", "calling.ai.translate.conversation_log"],
        predicate: Callable[[TranslateLogEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> TranslateLogEvent: ...
    @overload
    async def wait_for(
        self, event_type: str, predicate: Callable[[RelayEvent], bool] | None = None, timeout: float | None = None
    ) -> RelayEvent: ...
    async def wait_for(
        self,
        event_type: str,
        predicate: Callable[[Any], bool] | None = None,
        timeout: float | None = None,
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
        if self._over is not None:
            await self._let_others_run()
            return made_here(event_type, self._over.cause or "ended")
        wait = Wait(event_type, predicate)
        self._waits.append(wait)
        try:
            if timeout is None:
                return await wait.future
            async with asyncio.timeout(timeout):
                return await wait.future
        finally:
            self._waits.remove(wait)

    async def wait_for_ringing(self, timeout: float | None = None) -> CallStateEvent:
        """Wait until the call rings, or went past that; returns at once when it did. See ``wait_for``."""
        return await self._wait_for_state(CallState.RINGING, timeout)

    async def wait_for_answered(self, timeout: float | None = None) -> CallStateEvent:
        """Wait until the call is answered, or ended unanswered: look at ``call_state``. See ``wait_for``."""
        return await self._wait_for_state(CallState.ANSWERED, timeout)

    async def wait_for_ending(self, timeout: float | None = None) -> CallStateEvent:
        """Wait until the call is ending, or ended; returns at once when it is. See ``wait_for``."""
        return await self._wait_for_state(CallState.ENDING, timeout)

    async def wait_for_ended(self, timeout: float | None = None) -> CallStateEvent:
        """Wait until the call ended; returns at once when it did. See ``wait_for``."""
        return await self._wait_for_state(CallState.ENDED, timeout)

    async def _wait_for_state(self, state: CallState, timeout: float | None) -> CallStateEvent:
        wanted = CALL_STATE_ORDER[state]
        for name, event in self._states.items():
            if CALL_STATE_ORDER.get(name, -1) >= wanted:
                return event
        if self._over is not None:
            return self._over
        if CALL_STATE_ORDER.get(self.state, -1) >= wanted:
            return CallStateEvent(
                STATE_EVENT, {"call_id": self.call_id, "node_id": self.node_id, "call_state": self.state}
            )
        return await self.wait_for(
            STATE_EVENT, lambda event: CALL_STATE_ORDER.get(event.call_state, -1) >= wanted, timeout
        )

    async def _let_others_run(self) -> None:
        """Somebody asks something of a call that is over, perhaps in a loop: that must not hold up other calls."""
        self._asked_after += 1
        if self._asked_after == _MANY:
            what = "a program goes on with a call that is over: look at call.state, or at the cause of what comes back"
            log.warning(what, extra={"call_id": self.call_id, "state": self.state})
        await asyncio.sleep(0 if self._asked_after < _MANY else _HELD_UP_S)
