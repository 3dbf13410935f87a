"""``calling.refer``: transfer a SIP call by REFER (relay-protocol 4.1)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

import msgspec

from offhook.protocol.devices import SipHeader
from offhook.protocol.params import CallParams, Url
from offhook.protocol.spec import EventFields, VerbSpec

__all__ = ["EVENT", "SPECS", "Refer", "ReferDevice", "ReferEvent", "ReferParams"]

EVENT: Final = "calling.call.refer"

SipUri = Annotated[
    str, msgspec.Meta(pattern=r"^[Ss][Ii][Pp][Ss]?:\S+\Z", description="a URI that begins with sip: or sips:")
]


class ReferParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"from_": "from"}):
    """Params of the device: who is to be called. ``headers`` are accepted and ignored."""

    to: SipUri
    from_: SipUri | None = None
    username: str | None = None
    password: str | None = None
    headers: list[SipHeader] = []

    def __repr__(self) -> str:
        return "ReferParams(***)"


class ReferDevice(msgspec.Struct, frozen=True, tag="sip", tag_field="type"):
    """A SIP URI."""

    params: ReferParams


class Refer(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.refer``."""

    method: ClassVar[str] = "calling.refer"
    accepted: ClassVar[str] = "Starting SIP REFER"

    device: ReferDevice
    status_url: Url | None = None


class ReferEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.refer``. Codes are texts; ``inProgress`` has only that of the REFER."""

    node_id: str
    call_id: str
    segment_id: str
    state: Literal["inProgress", "success", "cancel", "busy", "noAnswer", "error"]
    sip_refer_to: str
    sip_refer_response_code: str = ""
    sip_notify_response_code: str | msgspec.UnsetType = msgspec.UNSET


def is_referred(params: EventFields) -> bool:
    """Whether this event tells what it came to."""
    return params.get("state") != "inProgress"


SPECS: Final = (VerbSpec(section=(4, 1), start=Refer, event=EVENT, is_end=is_referred, not_found="call"),)
