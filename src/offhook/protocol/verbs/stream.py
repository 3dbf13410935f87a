"""``calling.stream``: the call's audio to a WebSocket, as JSON messages (relay-protocol 4.8 and 7.1)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import ControlParams, Url, WebSocketUrl
from offhook.protocol.spec import VerbSpec

__all__ = ["EVENT", "SPECS", "Stream", "StreamEvent", "StreamStop"]

EVENT: Final = "calling.call.stream"


class Stream(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.stream``. ``inbound_track`` is what the party says, ``outbound_track`` what it hears."""

    method: ClassVar[str] = "calling.stream"
    accepted: ClassVar[str] = "Starting stream"

    url: WebSocketUrl
    name: str | None = None
    codec: (
        Annotated[
            str,
            msgspec.Meta(
                pattern=r"^(?:PCMU|PCMA|G722|L16)(?:@\d+[hi])*\Z",
                description="PCMU, PCMA, G722 or L16, with optional @<hz>h and @<ms>i",
            ),
        ]
        | None
    ) = None
    track: Literal["inbound_track", "outbound_track", "both_tracks"] = "inbound_track"
    status_url: Url | None = None
    status_url_method: Literal["GET", "POST"] = "POST"
    authorization_bearer_token: str | None = None
    custom_parameters: dict[str, Any] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Stream(track={self.track!r})"


class StreamStop(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.stream.stop``."""

    method: ClassVar[str] = "calling.stream.stop"
    accepted: ClassVar[str] = "Stopping stream"


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.stream``."""

    node_id: str
    call_id: str
    segment_id: str
    control_id: str
    state: Literal["streaming", "finished"]
    url: str
    name: str = ""


SPECS: Final = (
    VerbSpec(
        section=(4, 8),
        start=Stream,
        commands=(StreamStop,),
        event=EVENT,
        lost=({"state": "finished"},),
        not_found="call",
    ),
)
