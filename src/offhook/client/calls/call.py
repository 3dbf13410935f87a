"""The call, assembled from its verbs. Made by ``make generate`` from the verbs."""

from __future__ import annotations

from offhook.client.calls.typed_events import TypedCallEvents
from offhook.client.verbs.accept import AcceptVerb
from offhook.client.verbs.ai import AiVerb
from offhook.client.verbs.ai_message import AiMessageVerb
from offhook.client.verbs.ai_sidecar import AiSidecarVerb
from offhook.client.verbs.answer import AnswerVerb
from offhook.client.verbs.bind_digit import BindDigitVerb
from offhook.client.verbs.collect import CollectVerb
from offhook.client.verbs.connect import ConnectVerb
from offhook.client.verbs.denoise import DenoiseVerb
from offhook.client.verbs.detect import DetectVerb
from offhook.client.verbs.echo import EchoVerb
from offhook.client.verbs.end import EndVerb
from offhook.client.verbs.fax import FaxVerb
from offhook.client.verbs.hold import HoldVerb
from offhook.client.verbs.join_conference import ConferenceVerb
from offhook.client.verbs.join_room import RoomVerb
from offhook.client.verbs.live_transcribe import LiveTranscribeVerb
from offhook.client.verbs.live_translate import LiveTranslateVerb
from offhook.client.verbs.pass_ import PassVerb
from offhook.client.verbs.pay import PayVerb
from offhook.client.verbs.play import PlayVerb
from offhook.client.verbs.play_and_collect import PlayAndCollectVerb
from offhook.client.verbs.queue import QueueVerb
from offhook.client.verbs.record import RecordVerb
from offhook.client.verbs.refer import ReferVerb
from offhook.client.verbs.send_digits import SendDigitsVerb
from offhook.client.verbs.stream import StreamVerb
from offhook.client.verbs.tap import TapVerb
from offhook.client.verbs.transcribe import TranscribeVerb
from offhook.client.verbs.transfer import TransferVerb
from offhook.client.verbs.user_event import UserEventVerb

__all__ = ["Call"]


class Call(
    TypedCallEvents,
    AcceptVerb,
    AnswerVerb,
    EndVerb,
    PassVerb,
    ReferVerb,
    TransferVerb,
    UserEventVerb,
    PlayVerb,
    RecordVerb,
    BindDigitVerb,
    CollectVerb,
    PlayAndCollectVerb,
    SendDigitsVerb,
    ConnectVerb,
    DetectVerb,
    FaxVerb,
    StreamVerb,
    TapVerb,
    PayVerb,
    ConferenceVerb,
    RoomVerb,
    QueueVerb,
    DenoiseVerb,
    EchoVerb,
    HoldVerb,
    LiveTranscribeVerb,
    LiveTranslateVerb,
    TranscribeVerb,
    AiVerb,
    AiMessageVerb,
    AiSidecarVerb,
):
    """A live phone call: from ``@client.on_call`` (inbound) or ``client.dial`` (outbound).

    Commands on a call that is over return at once: ``{}``, or an action that has ended, with a cause.
    """
