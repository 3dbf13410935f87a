"""Typed dicts of what goes into commands, so that a misspelt key is a type error before it is a 400."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from offhook.protocol.devices import Codec, Gender

__all__ = [
    "AudioMedia",
    "CallDevice",
    "Collect",
    "CollectDigits",
    "CollectSpeech",
    "ConnectDevice",
    "Device",
    "FabricDevice",
    "Media",
    "PhoneDevice",
    "PromptDigits",
    "QueueDevice",
    "RecordAudio",
    "RingtoneMedia",
    "SilenceMedia",
    "SipDevice",
    "SipHeader",
    "StreamDevice",
    "StreamSettings",
    "TtsMedia",
    "WebrtcDevice",
]


# --- media ------------------------------------------------------------------------------------------------------


class AudioParams(TypedDict):
    """``url``: http or https, WAV or MP3."""

    url: str


class TtsParams(TypedDict):
    """``text``: plain or SSML. ``language``: BCP 47, default en-US. ``voice`` goes before ``gender``."""

    text: str
    language: NotRequired[str]
    gender: NotRequired[Gender]
    voice: NotRequired[str]


class SilenceParams(TypedDict):
    """``duration``: seconds, greater than 0."""

    duration: float


class RingtoneParams(TypedDict):
    """``name``: a country's letters (us, gb). ``duration``: seconds; without it until stopped."""

    name: str
    duration: NotRequired[float]


class AudioMedia(TypedDict):
    """Audio by URL."""

    type: Literal["audio"]
    params: AudioParams


class TtsMedia(TypedDict):
    """Text, spoken."""

    type: Literal["tts"]
    params: TtsParams


class SilenceMedia(TypedDict):
    """Silence."""

    type: Literal["silence"]
    params: SilenceParams


class RingtoneMedia(TypedDict):
    """A country's ringing tone."""

    type: Literal["ringtone"]
    params: RingtoneParams


Media = AudioMedia | TtsMedia | SilenceMedia | RingtoneMedia


# --- devices ----------------------------------------------------------------------------------------------------


class SipHeader(TypedDict):
    """One header field: ``name``, which begins with ``X-`` if it is your own, and ``value``, one line."""

    name: str
    value: str


class RingParams(TypedDict, total=False):
    """``timeout``: seconds to ring, default 30. ``call_state_url`` is POSTed the states of ``call_state_events``.

    ``confirm``: URL or SWML to run before bridging; ``confirm_timeout``: seconds.
    """

    timeout: int
    call_state_url: str
    call_state_events: list[Literal["created", "ringing", "answered", "ended"]]
    confirm: str | list[Any] | dict[str, Any]
    confirm_timeout: int


class PhoneParams(RingParams):
    """``to_number`` and ``from_number``, E.164; without the second the platform chooses."""

    to_number: str
    from_number: NotRequired[str]


class PhoneDevice(TypedDict):
    """A telephone number."""

    type: Literal["phone"]
    params: PhoneParams


_SipAddress = TypedDict("_SipAddress", {"to": str, "from": NotRequired[str]})


class SipParams(RingParams, _SipAddress):
    """``to``, ``from``: SIP URIs; ``from_name`` is shown to who is called, ``headers`` go into the INVITE.

    ``codecs``: to offer, in this order. ``webrtc_media``: offer what browsers take. ``encryption``: of media.
    ``username``, ``password``: if the other side asks. ``session_timeout``: seconds of the session timer.
    """

    from_name: NotRequired[str]
    headers: NotRequired[list[SipHeader]]
    codecs: NotRequired[list[Codec]]
    webrtc_media: NotRequired[bool]
    encryption: NotRequired[Literal["forbidden", "mandatory", "optional"]]
    username: NotRequired[str]
    password: NotRequired[str]
    session_timeout: NotRequired[int]


class SipDevice(TypedDict):
    """A SIP URI."""

    type: Literal["sip"]
    params: SipParams


class FabricParams(RingParams, _SipAddress):
    """``to``: a resource address such as ``/private/support``. ``from``: who is shown."""


class FabricDevice(TypedDict):
    """A resource of the project."""

    type: Literal["fabric"]
    params: FabricParams


class WebrtcParams(RingParams, _SipAddress):
    """``to``: the address of a browser. ``from``: who is shown. ``codecs``: to offer, in this order."""

    codecs: NotRequired[list[Literal["PCMU", "PCMA", "OPUS", "VP8", "H264"]]]


class WebrtcDevice(TypedDict):
    """A browser."""

    type: Literal["webrtc"]
    params: WebrtcParams


Device = PhoneDevice | SipDevice | FabricDevice | WebrtcDevice
"""Whom ``dial`` calls."""


class CallDeviceParams(TypedDict):
    """``node_id`` and ``call_id`` of a call that lives already."""

    node_id: str
    call_id: str


class CallDevice(TypedDict):
    """A live call (connect alone)."""

    type: Literal["call"]
    params: CallDeviceParams


class QueueDeviceParams(TypedDict):
    """``queue_name``: whose first in line, on which ``node_id``; ``queue_id`` where the name is not enough.

    ``execute_after_queue``: SWML for the caller when the bridge is over, inline or by URL.
    """

    node_id: str
    queue_name: str
    queue_id: NotRequired[str]
    execute_after_queue: NotRequired[str | dict[str, Any]]


class QueueDevice(TypedDict):
    """Whoever waits longest in a queue (connect alone)."""

    type: Literal["queue"]
    params: QueueDeviceParams


class StreamSettings(TypedDict):
    """A WebSocket that hears and speaks.

    ``url``: wss. ``codec``: PCMU (default), PCMA, G722 or L16, with ``@<hz>h`` and ``@<ms>i``. ``realtime``: paced.
    ``authorization_bearer_token``: goes into the handshake. ``name`` and ``custom_parameters`` go into its first
    message. ``status_url``: gets the events, by ``status_url_method``, default POST.
    """

    url: str
    name: NotRequired[str]
    codec: NotRequired[str]
    status_url: NotRequired[str]
    status_url_method: NotRequired[Literal["GET", "POST"]]
    realtime: NotRequired[bool]
    authorization_bearer_token: NotRequired[str]
    custom_parameters: NotRequired[dict[str, Any]]


class StreamDevice(TypedDict):
    """A WebSocket (connect alone)."""

    type: Literal["stream"]
    params: StreamSettings


ConnectDevice = Device | CallDevice | QueueDevice | StreamDevice
"""Whom ``connect`` calls."""


# --- input and recording ----------------------------------------------------------------------------------------


class CollectDigits(TypedDict):
    """``max``: 1 or more. ``terminators``: keys that end input. ``digit_timeout``: seconds between keys, default 5."""

    max: int
    terminators: NotRequired[str]
    digit_timeout: NotRequired[float]


class PromptDigits(CollectDigits):
    """As ``CollectDigits`` (``max``, ``terminators``, ``digit_timeout``), and ``min``: fewer digits are no match."""

    min: NotRequired[int]


class CollectSpeech(TypedDict, total=False):
    """``end_silence_timeout`` (default 1) and ``speech_timeout`` (default 60) are seconds; ``language`` BCP 47.

    ``hints``: words to expect. ``engine`` and its ``model``: who recognises.
    """

    end_silence_timeout: float
    speech_timeout: float
    language: str
    hints: list[str]
    model: str
    engine: Literal["Deepgram", "Google", "Google.V2"]


class Collect(TypedDict, total=False):
    """What ``play_and_collect`` collects: ``digits``, ``speech`` or both.

    ``initial_timeout``: seconds from the end of playback to the first input, default 4.
    """

    initial_timeout: float
    digits: PromptDigits
    speech: CollectSpeech


class RecordAudio(TypedDict, total=False):
    """What to record and when to end.

    ``direction``: ``speak`` what the party says (default), ``listen`` what it hears, ``both``; these in two channels
    with ``stereo``. ``format``: of the file. ``beep``: one before it begins. It ends after ``initial_timeout`` seconds
    without speech, ``end_silence_timeout`` seconds of silence after some, ``max_length`` seconds in all; 0 is off.
    ``terminators``: keys that end it, default ``#``. ``input_sensitivity``: 0 to 100, default 44; the higher, the
    quieter the speech that counts.
    """

    beep: bool
    format: Literal["mp3", "wav", "mp4"]
    stereo: bool
    direction: Literal["listen", "speak", "both"]
    initial_timeout: float
    end_silence_timeout: float
    terminators: str
    max_length: float
    input_sensitivity: float
