"""From an INVITE to a call: whom it is for, who calls, or why it is turned away."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from offhook.errors import CallerError, PeerError
from offhook.node.calls.call import Call
from offhook.node.calls.identity import CallIdentity
from offhook.node.calls.leg import Leg
from offhook.node.calls.ports import EventSink
from offhook.node.calls.routing import RoutingTable
from offhook.node.calls.settings import CallSettings
from offhook.node.calls.sip import Status, own_headers, sip_data
from offhook.node.calls.uris import SipUri, is_phone_number, parse_party, party_of
from offhook.node.engine.port import EnginePort
from offhook.node.engine.reports import LegIncoming
from offhook.protocol.states import Direction

__all__ = ["InboundCalls", "TurnedAway"]


class TurnedAway(PeerError):
    """An INVITE that becomes no call. ``status``: the final response, ``text``: its sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class InboundCalls:
    """Makes calls of INVITEs; they begin to live when they are taken."""

    def __init__(self, engine: EnginePort, sink: EventSink, settings: CallSettings, wall_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._sink = sink
        self._settings = settings
        self._wall_ms = wall_ms
        self._routing = RoutingTable(settings.routes)

    def call_of(self, report: LegIncoming) -> Call:
        """The call, in the context that its number belongs to.

        Raises:
            TurnedAway: it cannot be read, or no route takes it.
        """
        try:
            dialled = parse_party(report.request_uri)
        except CallerError as error:
            raise TurnedAway(Status.UNSUPPORTED_URI_SCHEME, str(error)) from error
        context = self._routing.context_of(dialled)
        if context is None:
            raise TurnedAway(Status.NOT_FOUND, self._routing.advice(dialled))
        sender = party_of(report.from_uri)
        to = dialled if report.to_uri == report.request_uri else party_of(report.to_uri)
        leg = Leg(self._engine, report.leg, Direction.INBOUND)
        headers = {header.name.lower(): header.value for header in report.headers}
        identity = CallIdentity(
            call_id=str(uuid.uuid4()),
            segment_id=str(uuid.uuid4()),
            direction=Direction.INBOUND,
            device=_inbound_device(report, dialled, sender),
            context=context,
            sip_data=sip_data(request=dialled, sender=sender, to=to, headers=headers),
        )
        start_time = report.at_us // 1000
        return Call(identity, leg, self._sink, self._settings, start_time=start_time, wall_ms=self._wall_ms)


def _inbound_device(report: LegIncoming, dialled: SipUri, sender: SipUri | None) -> dict[str, Any]:
    """``phone`` when both sides are numbers, else ``sip``. Headers: those that a program may set itself.

    ``sender``: None for one of another scheme, which has no number and is shown as it is.
    """
    if sender and is_phone_number(sender.number) and is_phone_number(dialled.number):
        params: dict[str, Any] = {"from_number": sender.number, "to_number": dialled.number}
        kind = "phone"
    else:
        params = {"from": str(sender or report.from_uri), "to": str(dialled)}
        kind = "sip"
    if headers := own_headers(report.headers):
        params["headers"] = headers
    return {"type": kind, "params": params}
