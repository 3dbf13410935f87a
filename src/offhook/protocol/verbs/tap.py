"""``calling.tap``: a copy of the call's audio by RTP or WebSocket (relay-protocol 4.8)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import ControlParams, Url
from offhook.protocol.spec import VerbSpec

__all__ = [
    "EVENT",
    "SPECS",
    "RtpDevice",
    "RtpParams",
    "Tap",
    "TapAudio",
    "TapEvent",
    "TapParams",
    "TapStop",
    "WsDevice",
    "WsParams",
]

EVENT: Final = "calling.call.tap"

Rate = Annotated[int, msgspec.Meta(gt=0, description="samples a second, such as 8000")]
TapCodec = Annotated[str, msgspec.Meta(pattern=r"^(?i:OPUS|PCMA|PCMU)\Z", description="one of OPUS, PCMA, PCMU")]


class TapParams(msgspec.Struct, frozen=True, kw_only=True):
    """``listen``: what the party hears; ``speak``: what it says; ``both``: mixed."""

    direction: Literal["listen", "speak", "both"]


class TapAudio(msgspec.Struct, frozen=True, tag="audio", tag_field="type"):
    """What to tap."""

    params: TapParams


class RtpParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where RTP goes. ``ptime`` is milliseconds a packet, 10 to 120 in tens."""

    addr: Annotated[str, msgspec.Meta(min_length=1, description="an IPv4 address")]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535, description="a port from 1 to 65535")]
    codec: TapCodec | None = None
    ptime: (
        Annotated[int, msgspec.Meta(ge=10, le=120, multiple_of=10, description="milliseconds: 10, 20 and so on to 120")]
        | None
    ) = None
    rate: Rate | None = None


class WsParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which WebSocket gets it."""

    uri: Annotated[
        str, msgspec.Meta(pattern=r"^[Ww][Ss][Ss]?://[^\s/]", description="a URL that begins with ws:// or wss://")
    ]
    codec: TapCodec | None = None
    rate: Rate | None = None

    def __repr__(self) -> str:
        return "WsParams(***)"


class RtpDevice(msgspec.Struct, frozen=True, tag="rtp", tag_field="type"):
    """An RTP receiver."""

    params: RtpParams


class WsDevice(msgspec.Struct, frozen=True, tag="ws", tag_field="type"):
    """A WebSocket server."""

    params: WsParams


class Tap(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.tap``. The result carries ``source_device``: where the audio comes from."""

    method: ClassVar[str] = "calling.tap"
    accepted: ClassVar[str] = "Tapping call"

    tap: TapAudio
    device: RtpDevice | WsDevice
    status_url: Url | None = None


class TapStop(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.tap.stop``."""

    method: ClassVar[str] = "calling.tap.stop"
    accepted: ClassVar[str] = "Stopping tap"


class TapEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.tap``. ``tap`` and ``device`` as they were resolved."""

    node_id: str
    call_id: str
    segment_id: str
    control_id: str
    state: Literal["tapping", "finished"]
    tap: dict[str, Any]
    device: dict[str, Any]
    tag: str = ""


SPECS: Final = (
    VerbSpec(
        section=(4, 8),
        start=Tap,
        commands=(TapStop,),
        event=EVENT,
        lost=({"state": "finished"},),
        not_found="call",
    ),
)
