"""Devices (whom to call) and media elements (what to play): relay-protocol 3."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import PositiveSeconds, Url, WebSocketUrl, WholeSeconds

__all__ = [
    "RINGTONES",
    "AudioMedia",
    "AudioParams",
    "CallDevice",
    "CallDeviceParams",
    "Codec",
    "ConnectDevice",
    "Device",
    "DialDevice",
    "FabricDevice",
    "FabricParams",
    "Media",
    "PhoneDevice",
    "PhoneParams",
    "QueueDevice",
    "QueueDeviceParams",
    "ReportedDevice",
    "RingtoneMedia",
    "RingtoneParams",
    "SilenceMedia",
    "SilenceParams",
    "SipDevice",
    "SipHeader",
    "SipParams",
    "StreamDevice",
    "StreamParams",
    "TtsMedia",
    "TtsParams",
    "WebrtcDevice",
    "WebrtcParams",
]

Codec = Literal["PCMU", "PCMA", "OPUS", "G729", "G722", "AMR-WB", "VP8", "H264"]
ReportedState = Literal["created", "ringing", "answered", "ended"]
Confirm = Annotated[
    str | list[Any] | dict[str, Any],
    msgspec.Meta(description="a URL or an inline SWML document to run before bridging"),
]


class SipHeader(msgspec.Struct, frozen=True):
    """One header field to send. Own names begin with ``X-``, but not ``X-SignalWire`` or ``X-CID``."""

    name: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(?i:X-(?!SignalWire|CID)[!#$%&'*+.^_`|~0-9A-Za-z-]+|Privacy|P-Asserted-Identity|User-to-User)\Z",
            description="a header name that begins with X- (not X-SignalWire or X-CID), or Privacy, "
            "P-Asserted-Identity or User-to-User",
        ),
    ]
    value: Annotated[str, msgspec.Meta(pattern=r"^[^\r\n\0]*\Z", description="a text without line breaks")]


class RingParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every device that can be rung takes.

    ``timeout``: how long to ring; else the request's, else 30 s. ``confirm_timeout``: else the ring timeout.
    """

    timeout: WholeSeconds | None = None
    call_state_url: Url | None = None
    call_state_events: list[ReportedState] = msgspec.field(default_factory=lambda: ["ended"])
    confirm: Confirm | None = None
    confirm_timeout: WholeSeconds | None = None


class PhoneParams(RingParams, frozen=True, kw_only=True):
    """Params of a ``phone`` device. Numbers are E.164."""

    to_number: Annotated[str, msgspec.Meta(min_length=1, description="the number to call, such as +15551234567")]
    from_number: str | None = None


class SipParams(RingParams, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Params of a ``sip`` device. ``session_timeout`` is the SIP session timer in seconds."""

    to: Annotated[str, msgspec.Meta(min_length=1, description="the SIP URI to call, such as sip:user@example.com")]
    from_: str | None = None
    from_name: str | None = None
    headers: list[SipHeader] = []
    codecs: list[Codec] = []
    webrtc_media: bool | None = None
    encryption: Literal["forbidden", "mandatory", "optional"] | None = None
    username: str | None = None
    password: str | None = None
    session_timeout: WholeSeconds | None = None

    def __repr__(self) -> str:
        return "SipParams(***)"


class FabricParams(RingParams, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Params of a ``fabric`` device. ``to`` is a resource address such as ``/private/support``."""

    to: Annotated[str, msgspec.Meta(min_length=1, description="a resource address, such as /private/support")]
    from_: str | None = None


class WebrtcParams(RingParams, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Params of a ``webrtc`` device (older form of ``fabric``)."""

    to: Annotated[str, msgspec.Meta(min_length=1, description="the address of the browser to call")]
    from_: str | None = None
    codecs: list[Literal["PCMU", "PCMA", "OPUS", "VP8", "H264"]] = []


class CallDeviceParams(msgspec.Struct, frozen=True, kw_only=True):
    """Params of a ``call`` device: a call that lives already."""

    node_id: str
    call_id: str


class QueueDeviceParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Params of a ``queue`` device: whoever waits longest."""

    node_id: str
    queue_name: str
    queue_id: str | None = None
    execute_after_queue: Any = None


class StreamParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Params of a ``stream`` device and of a conference's ``stream``."""

    url: WebSocketUrl
    name: str | None = None
    codec: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(?:PCMU|PCMA|G722|L16)(?:@\d+[hi])*\Z",
            description="PCMU, PCMA, G722 or L16, with optional @<hz>h and @<ms>i",
        ),
    ] = "PCMU"
    status_url: Url | None = None
    status_url_method: Literal["GET", "POST"] = "POST"
    realtime: bool = False
    authorization_bearer_token: str | None = None
    custom_parameters: dict[str, Any] = {}

    def __repr__(self) -> str:
        return "StreamParams(***)"


class Device(msgspec.Struct, frozen=True, tag_field="type", tag=True):
    """Base of devices: ``{"type": ..., "params": ...}``."""


class PhoneDevice(Device, frozen=True, tag="phone"):
    """A telephone number."""

    params: PhoneParams


class SipDevice(Device, frozen=True, tag="sip"):
    """A SIP URI."""

    params: SipParams


class FabricDevice(Device, frozen=True, tag="fabric"):
    """A resource of the project."""

    params: FabricParams


class WebrtcDevice(Device, frozen=True, tag="webrtc"):
    """A browser."""

    params: WebrtcParams


class CallDevice(Device, frozen=True, tag="call"):
    """A live call (connect alone)."""

    params: CallDeviceParams


class QueueDevice(Device, frozen=True, tag="queue"):
    """The head of a queue (connect alone)."""

    params: QueueDeviceParams


class StreamDevice(Device, frozen=True, tag="stream"):
    """A WebSocket that hears and speaks (connect alone)."""

    params: StreamParams


DialDevice = PhoneDevice | SipDevice | FabricDevice | WebrtcDevice
ConnectDevice = PhoneDevice | SipDevice | FabricDevice | WebrtcDevice | CallDevice | QueueDevice | StreamDevice


class ReportedDevice(msgspec.Struct, frozen=True, omit_defaults=True):
    """A device as events report it; empty until its type is known.

    Params: ``from_number`` and ``to_number`` (phone), ``from`` and ``to`` (sip, webrtc); ``headers`` of SIP.
    """

    type: str = ""
    params: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"ReportedDevice(type={self.type!r})"


# --- media ------------------------------------------------------------------------------------------------------

Gender = Literal["male", "female"]

RINGTONES: Final = frozenset(
    {"at", "au", "be", "bg", "bong", "br", "ca", "ch", "cl", "cn", "cy", "cz", "de", "dk", "dz", "ee", "eg", "es", "fi"}
    | {"fr", "gr", "hu", "il", "in", "it", "jp", "ko", "lt", "mx", "my", "nl", "no", "nz", "ph", "pk", "pl", "pt", "ro"}
    | {"rs", "ru", "sa", "se", "sg", "th", "tr", "tw", "uk", "us", "us-old", "ve", "za"}
)
"""Names of ringtones that the protocol lists."""


class AudioParams(msgspec.Struct, frozen=True):
    """Params of ``audio``: a file by URL."""

    url: Url


class TtsParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Params of ``tts``. ``voice`` goes before ``gender``; what is absent comes from the request, then the defaults."""

    default_language: ClassVar[str] = "en-US"
    default_gender: ClassVar[str] = "female"

    text: Annotated[str, msgspec.Meta(min_length=1, description="the text to speak, plain or SSML")]
    language: str | None = None
    gender: Gender | None = None
    voice: str | None = None

    def __repr__(self) -> str:
        return f"TtsParams(text=<{len(self.text)} characters>)"


class SilenceParams(msgspec.Struct, frozen=True):
    """Params of ``silence``."""

    duration: PositiveSeconds


class RingtoneParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Params of ``ringtone``. Without ``duration`` it rings until it is stopped."""

    name: str
    duration: PositiveSeconds | None = None


class AudioMedia(msgspec.Struct, frozen=True, tag="audio", tag_field="type"):
    """Audio by URL (http or https)."""

    params: AudioParams


class TtsMedia(msgspec.Struct, frozen=True, tag="tts", tag_field="type"):
    """Text, spoken."""

    params: TtsParams


class SilenceMedia(msgspec.Struct, frozen=True, tag="silence", tag_field="type"):
    """Silence."""

    params: SilenceParams


class RingtoneMedia(msgspec.Struct, frozen=True, tag="ringtone", tag_field="type"):
    """A country's ringing tone."""

    params: RingtoneParams


Media = AudioMedia | TtsMedia | SilenceMedia | RingtoneMedia
