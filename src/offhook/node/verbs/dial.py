"""``calling.dial``: place calls."""

from __future__ import annotations

from types import MappingProxyType

from offhook.errors import CommandRefused
from offhook.node.calls.dialing import DialRequest
from offhook.node.calls.hunt import HuntRequest
from offhook.node.calls.ports import Client
from offhook.node.verbs.base import Unbuilt, VerbPorts
from offhook.protocol.codes import ResultCode
from offhook.protocol.verbs import dial

__all__ = ["UNBUILT", "start_dial"]

MAX_DEVICES = 50
_DEVICE = "devices[][].params."

UNBUILT: Unbuilt = MappingProxyType(
    {
        "max_price_per_minute": None,
        "dest_swml": None,
        "region": None,
        f"{_DEVICE}call_state_url": None,
        f"{_DEVICE}call_state_events": None,
        f"{_DEVICE}confirm": None,
        f"{_DEVICE}confirm_timeout": None,
        f"{_DEVICE}username": None,
        f"{_DEVICE}password": None,
        f"{_DEVICE}session_timeout": None,
        f"{_DEVICE}webrtc_media": frozenset({True}),
        f"{_DEVICE}encryption": frozenset({"mandatory"}),
    }
)


def start_dial(params: dial.Dial, client: Client, ports: VerbPorts) -> None:
    """Begin to dial; everything else comes as events with the tag.

    Raises:
        CommandRefused: it can never work, or the tag is in use.
    """
    if params.node_id and params.node_id != ports.exchange.settings.node_id:
        raise CommandRefused(ResultCode.NOT_FOUND, "`node_id` names another node: leave it out, or use this node's")
    if sum(len(group) for group in params.devices) > MAX_DEVICES:
        raise CommandRefused(ResultCode.BAD_REQUEST, f"`devices` may be at most {MAX_DEVICES}: dial the rest later")
    digits = (params.send_digits or "").translate(str.maketrans("abcd", "ABCD"))
    hunt = HuntRequest(
        session=client.session,
        groups=[list(group) for group in params.devices],
        tag=params.tag,
        timeout_s=params.timeout,
        max_duration_s=float(params.max_duration or 0),
        outlives_node=not digits,
    )
    ports.exchange.dial(DialRequest(hunt, digits))
