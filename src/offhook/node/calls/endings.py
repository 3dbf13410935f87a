"""Why a call ends, and what that means on SIP. Tables only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from offhook.node.engine.reports import LegEnded
from offhook.protocol.states import Direction, EndReason, EndSource

__all__ = ["REFUSAL_STATUS", "REFUSAL_TEXT", "Ending", "end_params", "ending_of", "reason_of_status"]


class Ending(msgspec.Struct, frozen=True):
    """Why a call ends. ``source``: ``inbound`` when the remote party ended it, ``outbound`` our side, else ``none``.

    ``detail``: a slug beside the wire's few reasons (``node_failure``, ``media_timeout``).
    ``status`` and ``text`` go to SIP when our side ends the leg; 0: the status that belongs to the reason.
    """

    reason: EndReason
    source: EndSource
    detail: str = ""
    status: int = 0
    text: str = ""


REFUSAL_STATUS: Mapping[EndReason, int] = MappingProxyType(
    {
        EndReason.HANGUP: 603,
        EndReason.DECLINE: 603,
        EndReason.BUSY: 486,
        EndReason.NO_ANSWER: 480,
        EndReason.CANCEL: 487,
        EndReason.ERROR: 500,
        EndReason.NOT_FOUND: 404,
        EndReason.MAX_DURATION: 480,
        EndReason.ABANDONED: 487,
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
        404: EndReason.NOT_FOUND,
        408: EndReason.NO_ANSWER,
        410: EndReason.NOT_FOUND,
        480: EndReason.NO_ANSWER,
        486: EndReason.BUSY,
        487: EndReason.CANCEL,
        600: EndReason.BUSY,
        603: EndReason.DECLINE,
        604: EndReason.NOT_FOUND,
    }
)

_CAUSES: Mapping[str, tuple[EndReason, str]] = MappingProxyType(
    {
        "bye": (EndReason.HANGUP, ""),
        "timeout": (EndReason.NO_ANSWER, ""),
        "ack_timeout": (EndReason.ERROR, "ack_timeout"),
        "media_timeout": (EndReason.ERROR, "media_timeout"),
        "unreachable": (EndReason.ERROR, "unreachable"),
        "fork": (EndReason.CANCEL, ""),
        "error": (EndReason.ERROR, "engine_error"),
    }
)

_SOURCES: Mapping[str, EndSource] = MappingProxyType(
    {"local": EndSource.OUTBOUND, "remote": EndSource.INBOUND, "none": EndSource.NONE}
)


def end_params(ending: Ending) -> dict[str, Any]:
    """What ``calling.call.state`` says of it."""
    params = {"end_reason": ending.reason.value, "end_source": ending.source.value}
    return params | ({"end_detail": ending.detail} if ending.detail else {})


def reason_of_status(status: int) -> EndReason:
    """What a final response (300 or more) means for the caller."""
    return _OUTCOME.get(status, EndReason.ERROR)


def ending_of(report: LegEnded, direction: Direction) -> Ending:
    """Why a leg ended that our side did not end."""
    source = _SOURCES[report.by]
    match report.cause:
        case "cancel" if direction is Direction.INBOUND and report.by == "remote":
            return Ending(EndReason.ABANDONED, source, text=report.reason)
        case "cancel":
            return Ending(EndReason.CANCEL, source, text=report.reason)
        case "rejected":
            reason = reason_of_status(report.status)
            detail = f"sip_{report.status}" if reason is EndReason.ERROR else ""
            return Ending(reason, source, detail=detail, status=report.status, text=report.reason)
        case cause:
            reason, detail = _CAUSES[cause]
            return Ending(reason, source, detail=detail, status=report.status, text=report.reason)
