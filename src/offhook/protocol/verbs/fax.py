"""``calling.send_fax`` and ``calling.receive_fax`` (relay-protocol 4.7)."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

import msgspec

from offhook.protocol.params import ControlParams, Url
from offhook.protocol.spec import EventFields, VerbSpec, is_finished

__all__ = [
    "EVENT",
    "SPECS",
    "FaxEvent",
    "FaxFinished",
    "FaxFinishedParams",
    "FaxPage",
    "FaxPageParams",
    "ReceiveFax",
    "ReceiveFaxStop",
    "SendFax",
    "SendFaxStop",
]

EVENT: Final = "calling.call.fax"

FaxDirection = Literal["send", "receive"]


class SendFax(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.send_fax``. ``document`` is the URL of a PDF; ``header_info`` empty: no header line."""

    method: ClassVar[str] = "calling.send_fax"
    accepted: ClassVar[str] = "Sending fax"

    document: Url
    identity: str | None = None
    header_info: str | None = None
    status_url: Url | None = None


class SendFaxStop(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.send_fax.stop``."""

    method: ClassVar[str] = "calling.send_fax.stop"
    accepted: ClassVar[str] = "Stopping fax"


class ReceiveFax(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.receive_fax``."""

    method: ClassVar[str] = "calling.receive_fax"
    accepted: ClassVar[str] = "Receiving fax"

    status_url: Url | None = None


class ReceiveFaxStop(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.receive_fax.stop``."""

    method: ClassVar[str] = "calling.receive_fax.stop"
    accepted: ClassVar[str] = "Stopping fax"


class FaxPageParams(msgspec.Struct, frozen=True):
    """A page went through. ``number`` counts from 1."""

    direction: FaxDirection
    number: int


class FaxPage(msgspec.Struct, frozen=True, tag="page", tag_field="type"):
    """Progress."""

    params: FaxPageParams


class FaxFinishedParams(msgspec.Struct, frozen=True, kw_only=True):
    """How it went. All fields are always there, texts empty when unknown; ``result`` 0 is success."""

    direction: FaxDirection
    success: bool
    result: int
    result_text: str
    pages: int
    identity: str = ""
    remote_identity: str = ""
    document: str = ""
    format: str = "pdf"


class FaxFinished(msgspec.Struct, frozen=True, tag="finished", tag_field="type"):
    """The end."""

    params: FaxFinishedParams


class FaxEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.fax``. ``state`` mirrors the end for clients that wait for it (9, row 19)."""

    node_id: str
    call_id: str
    control_id: str
    fax: FaxPage | FaxFinished
    state: Literal["finished", "error"] | msgspec.UnsetType = msgspec.UNSET


def is_faxed(params: EventFields) -> bool:
    """Whether this event is the last of a fax: by what it tells, or by the state that mirrors it."""
    told = params.get("fax")
    return (isinstance(told, dict) and told.get("type") in ("finished", "error")) or is_finished(params)


def _lost(direction: FaxDirection) -> dict[str, Any]:
    """Any ``result`` but 0 is a failure."""
    how = FaxFinishedParams(direction=direction, success=False, result=-1, result_text="The node failed", pages=0)
    return {"fax": {"type": "finished", "params": msgspec.to_builtins(how)}, "state": "error"}


SPECS: Final = (
    VerbSpec(
        section=(4, 7),
        start=SendFax,
        commands=(SendFaxStop,),
        event=EVENT,
        is_end=is_faxed,
        lost=(_lost("send"),),
        not_found="call",
    ),
    VerbSpec(
        section=(4, 7),
        start=ReceiveFax,
        commands=(ReceiveFaxStop,),
        event=EVENT,
        is_end=is_faxed,
        lost=(_lost("receive"),),
        not_found="call",
    ),
)
