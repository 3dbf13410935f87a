"""Which class an event has, by its type."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from offhook.client.events import ai as agent
from offhook.client.events import calls, inputs, media, messages, rooms
from offhook.client.events.base import RelayEvent, text_of
from offhook.protocol import messaging
from offhook.protocol.frames import EventParams
from offhook.protocol.verbs import (
    ai,
    ai_sidecar,
    collect,
    connect,
    denoise,
    detect,
    dial,
    echo,
    fax,
    hold,
    join_conference,
    join_room,
    pay,
    play,
    queue,
    record,
    refer,
    send_digits,
    stream,
    tap,
    transcribe,
    user_event,
)
from offhook.protocol.verbs.state import RECEIVE_EVENT, STATE_EVENT

__all__ = ["EVENT_TYPES", "made_here", "parse_event"]

EVENT_TYPES: Final[Mapping[str, type[RelayEvent]]] = MappingProxyType(
    {
        RECEIVE_EVENT: calls.CallReceiveEvent,
        STATE_EVENT: calls.CallStateEvent,
        dial.EVENT: calls.DialEvent,
        connect.EVENT: calls.ConnectEvent,
        refer.EVENT: calls.ReferEvent,
        hold.EVENT: calls.HoldEvent,
        denoise.EVENT: calls.DenoiseEvent,
        echo.EVENT: calls.EchoEvent,
        user_event.EVENT: calls.UserEvent,
        "calling.error": calls.ErrorEvent,
        play.EVENT: media.PlayEvent,
        record.EVENT: media.RecordEvent,
        send_digits.EVENT: media.SendDigitsEvent,
        fax.EVENT: media.FaxEvent,
        tap.EVENT: media.TapEvent,
        stream.EVENT: media.StreamEvent,
        transcribe.EVENT: media.TranscribeEvent,
        collect.EVENT: inputs.CollectEvent,
        detect.EVENT: inputs.DetectEvent,
        pay.EVENT: inputs.PayEvent,
        join_conference.EVENT: rooms.ConferenceEvent,
        join_room.EVENT: rooms.RoomEvent,
        queue.EVENT: rooms.QueueEvent,
        ai.EVENT: agent.AiEvent,
        ai.STOP_EVENT: agent.AiStopEvent,
        ai_sidecar.EVENT: agent.AiSidecarEvent,
        ai.START_EVENT: agent.AiSessionEvent,
        "calling.ai.begin_speaking": agent.AiSessionEvent,
        "calling.ai.user_speaking": agent.AiSessionEvent,
        "calling.ai.speech_detect": agent.AiSpeechEvent,
        "calling.ai.transparent_barge": agent.AiSpeechEvent,
        "calling.ai.partial_result": agent.AiPartialResultEvent,
        "calling.ai.response": agent.AiResponseEvent,
        "calling.ai.response_utterance": agent.AiUtteranceEvent,
        "calling.ai.completion": agent.AiCompletionEvent,
        "calling.ai.warning": agent.AiWarningEvent,
        "calling.ai.post_prompt": agent.AiPostPromptEvent,
        "calling.ai.swaig": agent.AiSwaigEvent,
        "calling.ai.swaig_action": agent.AiSwaigEvent,
        "calling.ai.transcribe.utterance": agent.TranscriptUtteranceEvent,
        "calling.ai.transcribe.live_summarize": agent.TranscriptLogEvent,
        "calling.ai.transcribe.conversation_log": agent.TranscriptLogEvent,
        "calling.ai.translate.transcript_delta": agent.TranslateDeltaEvent,
        "calling.ai.translate.live_summary": agent.TranslateLogEvent,
        "calling.ai.translate.conversation_log": agent.TranslateLogEvent,
        messaging.RECEIVE_EVENT: messages.MessageReceiveEvent,
        messaging.STATE_EVENT: messages.MessageStateEvent,
        "queuing.relay.tasks": messages.TaskEvent,
    }
)
"""Classes of events; other types are plain RelayEvents."""


def parse_event(envelope: EventParams) -> RelayEvent:
    """Make the typed event of an envelope. The flat body of a task becomes its params."""
    params = envelope.params if envelope.message is None else envelope.message
    kind = EVENT_TYPES.get(envelope.event_type, RelayEvent)
    context = envelope.context or text_of(params, "context")
    return kind(envelope.event_type, params, envelope.timestamp, context)  # keywords would take twice as long


def made_here(event_type: str, cause: str) -> RelayEvent:
    """Make an ending of the client's own: empty params and a cause."""
    return EVENT_TYPES.get(event_type, RelayEvent)(event_type, {}, cause=cause)
