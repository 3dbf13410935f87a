"""Events as the app sees them. Attributes read from ``params``, which stay as they came."""

from __future__ import annotations

from offhook.client.events.ai import (
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
    TranscriptLogEvent,
    TranscriptUtteranceEvent,
    TranslateDeltaEvent,
    TranslateLogEvent,
)
from offhook.client.events.base import (
    RelayEvent,
)
from offhook.client.events.calls import (
    CallReceiveEvent,
    CallStateEvent,
    ConnectEvent,
    DenoiseEvent,
    DialEvent,
    EchoEvent,
    ErrorEvent,
    HoldEvent,
    ReferEvent,
    UserEvent,
)
from offhook.client.events.inputs import (
    CollectEvent,
    DetectEvent,
    PayEvent,
)
from offhook.client.events.media import (
    FaxEvent,
    PlayEvent,
    RecordEvent,
    SendDigitsEvent,
    StreamEvent,
    TapEvent,
    TranscribeEvent,
)
from offhook.client.events.messages import (
    MessageEvent,
    MessageReceiveEvent,
    MessageStateEvent,
    TaskEvent,
)
from offhook.client.events.rooms import (
    ConferenceEvent,
    QueueEvent,
    RoomEvent,
)
from offhook.client.events.table import (
    EVENT_TYPES,
    made_here,
    parse_event,
)

__all__ = [
    "EVENT_TYPES",
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
    "CallReceiveEvent",
    "CallStateEvent",
    "CollectEvent",
    "ConferenceEvent",
    "ConnectEvent",
    "DenoiseEvent",
    "DetectEvent",
    "DialEvent",
    "EchoEvent",
    "ErrorEvent",
    "FaxEvent",
    "HoldEvent",
    "MessageEvent",
    "MessageReceiveEvent",
    "MessageStateEvent",
    "PayEvent",
    "PlayEvent",
    "QueueEvent",
    "RecordEvent",
    "ReferEvent",
    "RelayEvent",
    "RoomEvent",
    "SendDigitsEvent",
    "StreamEvent",
    "TapEvent",
    "TaskEvent",
    "TranscribeEvent",
    "TranscriptLogEvent",
    "TranscriptUtteranceEvent",
    "TranslateDeltaEvent",
    "TranslateLogEvent",
    "UserEvent",
    "made_here",
    "parse_event",
]
