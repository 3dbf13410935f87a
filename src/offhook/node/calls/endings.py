"""Why a call ends. Tables only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from offhook.node.calls.sip import detail_of_status, reason_of_status
from offhook.node.engine.reports import LegEnded
from offhook.protocol.states import Direction, EndReason, EndSource

__all__ = ["ANSWERED_ELSEWHERE", "Ending", "end_params", "ending_of"]


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


ANSWERED_ELSEWHERE = Ending(EndReason.CANCEL, EndSource.OUTBOUND, text="Answered elsewhere")
"""Of a call that we placed beside the one that was answered first."""

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


def ending_of(report: LegEnded, direction: Direction) -> Ending:
    """Why a leg ended that our side did not end."""
    source = _SOURCES[report.by]
    match report.cause:
        case "cancel" if direction is Direction.INBOUND and report.by == "remote":
            return Ending(EndReason.ABANDONED, source, text=report.reason)
        case "cancel":
            return Ending(EndReason.CANCEL, source, text=report.reason)
        case "rejected":
            reason, detail = reason_of_status(report.status), detail_of_status(report.status)
            return Ending(reason, source, detail=detail, status=report.status, text=report.reason)
        case cause:
            reason, detail = _CAUSES[cause]
            return Ending(reason, source, detail=detail, status=report.status, text=report.reason)
