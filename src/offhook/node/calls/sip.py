"""SIP's words where calls meet them: final responses and what they mean, header fields, ``sip_data``."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from offhook.node.calls.uris import SipUri, party_of
from offhook.node.engine.ops import Header
from offhook.node.engine.reports import LegEnded
from offhook.protocol.states import EndReason

__all__ = [
    "REFUSAL_STATUS",
    "REFUSAL_TEXT",
    "RINGS",
    "Status",
    "detail_of_status",
    "is_unserved",
    "own_headers",
    "reason_of_status",
    "sip_data",
]

_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_SHOWN_HEADERS = 16


class Status(enum.IntEnum):
    """Responses that calls give or tell apart (RFC 3261, section 21)."""

    RINGING = 180
    SESSION_PROGRESS = 183
    NOT_FOUND = 404
    REQUEST_TIMEOUT = 408
    GONE = 410
    UNSUPPORTED_URI_SCHEME = 416
    TEMPORARILY_UNAVAILABLE = 480
    BUSY_HERE = 486
    REQUEST_TERMINATED = 487
    SERVER_INTERNAL_ERROR = 500
    SERVICE_UNAVAILABLE = 503
    BUSY_EVERYWHERE = 600
    DECLINE = 603
    DOES_NOT_EXIST_ANYWHERE = 604


RINGS = frozenset({Status.RINGING, Status.SESSION_PROGRESS})
"""Of those who let somebody hear that they are called."""

REFUSAL_STATUS: Mapping[EndReason, Status] = MappingProxyType(
    {
        EndReason.HANGUP: Status.DECLINE,
        EndReason.DECLINE: Status.DECLINE,
        EndReason.BUSY: Status.BUSY_HERE,
        EndReason.NO_ANSWER: Status.TEMPORARILY_UNAVAILABLE,
        EndReason.CANCEL: Status.REQUEST_TERMINATED,
        EndReason.ERROR: Status.SERVER_INTERNAL_ERROR,
        EndReason.NOT_FOUND: Status.NOT_FOUND,
        EndReason.MAX_DURATION: Status.TEMPORARILY_UNAVAILABLE,
        EndReason.ABANDONED: Status.REQUEST_TERMINATED,
    }
)
"""The final response to an unanswered inbound call that our side ends."""

REFUSAL_TEXT: Mapping[EndReason, str] = MappingProxyType(
    {
        EndReason.HANGUP: "The application hung up before it answered",
        EndReason.DECLINE: "The application declined the call",
        EndReason.BUSY: "The application says that it is busy: call again later",
        EndReason.NO_ANSWER: "The application let nobody answer: call again later",
        EndReason.CANCEL: "The application took the call back before an answer",
        EndReason.ERROR: "The application could not handle the call: see its log",
    }
)
"""What a person reads beside that status, when whoever ended the call gave no sentence."""

_OUTCOME: Mapping[int, EndReason] = MappingProxyType(
    {
        Status.NOT_FOUND: EndReason.NOT_FOUND,
        Status.REQUEST_TIMEOUT: EndReason.NO_ANSWER,
        Status.GONE: EndReason.NOT_FOUND,
        Status.TEMPORARILY_UNAVAILABLE: EndReason.NO_ANSWER,
        Status.BUSY_HERE: EndReason.BUSY,
        Status.REQUEST_TERMINATED: EndReason.CANCEL,
        Status.BUSY_EVERYWHERE: EndReason.BUSY,
        Status.DECLINE: EndReason.DECLINE,
        Status.DOES_NOT_EXIST_ANYWHERE: EndReason.NOT_FOUND,
    }
)


def reason_of_status(status: int) -> EndReason:
    """What a final response (300 or more) means for the caller."""
    return _OUTCOME.get(status, EndReason.ERROR)


def detail_of_status(status: int) -> str:
    """The slug beside that reason: the status itself, where the wire has no reason of its own for it."""
    return "" if status in _OUTCOME else f"sip_{status}"


def is_unserved(report: LegEnded) -> bool:
    """Whether nobody served the INVITE there, so that another server may (RFC 3263, section 4.3)."""
    is_unavailable = report.cause == "rejected" and report.status == Status.SERVICE_UNAVAILABLE
    return is_unavailable or report.cause in ("unreachable", "timeout")


def own_headers(headers: Iterable[Header]) -> list[dict[str, str]]:
    """Header fields that a program may set itself, as the device of a call that came in shows them."""
    shown = [{"name": header.name, "value": header.value} for header in headers if header.name.lower().startswith("x-")]
    return shown[:_SHOWN_HEADERS]


def sip_data(
    *, request: SipUri | None, sender: SipUri | None, to: SipUri | None, headers: Mapping[str, str]
) -> dict[str, Any]:
    """``sip_data`` of ``calling.call.state``. ``headers``: by lower-case name; None: neither a SIP URI nor a number."""
    data: dict[str, Any] = {}
    for word, uri in (("req", request), ("from", sender), ("to", to), ("contact", _contact(headers))):
        if uri is None:
            continue
        data[f"sip_{word}_user"] = uri.user
        data[f"sip_{word}_host"] = uri.host
        data[f"sip_{word}_uri"] = str(uri).partition(":")[2]
        data[f"sip_{word}_params"] = uri.parameters
        if word == "contact":
            data["sip_contact_port"] = str(uri.port) if uri.port else ""
    if identity := headers.get("p-asserted-identity", ""):
        data["sip_p_asserted_identity"] = identity
    return data


def _contact(headers: Mapping[str, str]) -> SipUri | None:
    contact = headers.get("contact", "")
    if "<" in contact:
        contact = _QUOTED.sub("", contact, count=1).partition("<")[2].partition(">")[0]
    return party_of(contact) if contact else None
