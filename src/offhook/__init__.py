"""offhook: programmable voice that you run yourself. This is the SDK's front door."""

from __future__ import annotations

from offhook._version import __version__
from offhook.client.actions.action import Action
from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from offhook.client.calls.messages import Message
from offhook.client.events import (
    CallReceiveEvent,
    CallStateEvent,
    DialEvent,
    ErrorEvent,
    MessageEvent,
    MessageReceiveEvent,
    MessageStateEvent,
    RelayEvent,
    TaskEvent,
)
from offhook.client.verbs.ai import (
    AIAction,
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
from offhook.client.verbs.ai_message import AiReset
from offhook.client.verbs.ai_sidecar import AiSidecarEvent
from offhook.client.verbs.collect import CollectEvent, StandaloneCollectAction
from offhook.client.verbs.connect import ConnectEvent
from offhook.client.verbs.denoise import DenoiseEvent
from offhook.client.verbs.detect import Detect, DetectAction, DetectEvent
from offhook.client.verbs.echo import EchoEvent
from offhook.client.verbs.fax import FaxAction, FaxEvent
from offhook.client.verbs.hold import HoldEvent
from offhook.client.verbs.join_conference import ConferenceEvent
from offhook.client.verbs.join_room import RoomEvent
from offhook.client.verbs.live_transcribe import LiveTranscribeAction, TranscriptLogEvent, TranscriptUtteranceEvent
from offhook.client.verbs.live_translate import LiveTranslateAction, TranslateDeltaEvent, TranslateLogEvent
from offhook.client.verbs.pay import PayAction, PayEvent, PayParameter, PayPrompt
from offhook.client.verbs.play import PlayAction, PlayEvent
from offhook.client.verbs.play_and_collect import CollectAction
from offhook.client.verbs.queue import QueueEvent
from offhook.client.verbs.record import RecordAction, RecordEvent
from offhook.client.verbs.refer import ReferDevice, ReferEvent
from offhook.client.verbs.send_digits import SendDigitsEvent
from offhook.client.verbs.stream import StreamAction, StreamEvent
from offhook.client.verbs.tap import Tap, TapAction, TapDevice, TapEvent
from offhook.client.verbs.transcribe import TranscribeAction, TranscribeEvent
from offhook.client.verbs.user_event import UserEvent
from offhook.client.words.agent import AiLanguage, AiParams, AiPrompt, Hint, Pronounce, Swaig, SwaigFunction
from offhook.client.words.shapes import (
    Collect,
    CollectDigits,
    CollectSpeech,
    ConnectDevice,
    Device,
    Media,
    PromptDigits,
    RecordAudio,
    SipHeader,
    StreamSettings,
)
from offhook.errors import (
    CallerError,
    CallReleased,
    ConfigurationError,
    ConnectionLost,
    DialFailed,
    OffhookError,
    RelayError,
    RequestTimeout,
)

__all__ = [
    "AIAction",
    "Action",
    "AiCompletionEvent",
    "AiEvent",
    "AiLanguage",
    "AiParams",
    "AiPartialResultEvent",
    "AiPostPromptEvent",
    "AiPrompt",
    "AiReset",
    "AiResponseEvent",
    "AiSessionEvent",
    "AiSidecarEvent",
    "AiSpeechEvent",
    "AiStopEvent",
    "AiSwaigEvent",
    "AiUtteranceEvent",
    "AiWarningEvent",
    "Call",
    "CallReceiveEvent",
    "CallReleased",
    "CallStateEvent",
    "CallerError",
    "Collect",
    "CollectAction",
    "CollectDigits",
    "CollectEvent",
    "CollectSpeech",
    "ConferenceEvent",
    "ConfigurationError",
    "ConnectDevice",
    "ConnectEvent",
    "ConnectionLost",
    "DenoiseEvent",
    "Detect",
    "DetectAction",
    "DetectEvent",
    "Device",
    "DialEvent",
    "DialFailed",
    "EchoEvent",
    "ErrorEvent",
    "FaxAction",
    "FaxEvent",
    "Hint",
    "HoldEvent",
    "LiveTranscribeAction",
    "LiveTranslateAction",
    "Media",
    "Message",
    "MessageEvent",
    "MessageReceiveEvent",
    "MessageStateEvent",
    "OffhookError",
    "PayAction",
    "PayEvent",
    "PayParameter",
    "PayPrompt",
    "PlayAction",
    "PlayEvent",
    "PromptDigits",
    "Pronounce",
    "QueueEvent",
    "RecordAction",
    "RecordAudio",
    "RecordEvent",
    "ReferDevice",
    "ReferEvent",
    "RelayClient",
    "RelayError",
    "RelayEvent",
    "RequestTimeout",
    "RoomEvent",
    "SendDigitsEvent",
    "SipHeader",
    "StandaloneCollectAction",
    "StreamAction",
    "StreamEvent",
    "StreamSettings",
    "Swaig",
    "SwaigFunction",
    "Tap",
    "TapAction",
    "TapDevice",
    "TapEvent",
    "TaskEvent",
    "TranscribeAction",
    "TranscribeEvent",
    "TranscriptLogEvent",
    "TranscriptUtteranceEvent",
    "TranslateDeltaEvent",
    "TranslateLogEvent",
    "UserEvent",
    "__version__",
]
