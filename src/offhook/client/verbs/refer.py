"""Have the party's own SIP phone call somebody else (SIP REFER)."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import StateOfAction, Text
from offhook.client.words.compose import compose
from offhook.client.words.shapes import SipHeader
from offhook.protocol.verbs.refer import EVENT, Refer

__all__ = ["ReferDevice", "ReferEvent", "ReferVerb"]

_ReferAddress = TypedDict("_ReferAddress", {"to": str, "from": NotRequired[str]})


class ReferParams(_ReferAddress):
    """``to``, ``from``: SIP URIs. ``username``, ``password``: if they ask. ``headers`` are accepted and ignored."""

    username: NotRequired[str]
    password: NotRequired[str]
    headers: NotRequired[list[SipHeader]]


class ReferDevice(TypedDict):
    """Who is to be called."""

    type: Literal["sip"]
    params: ReferParams


class ReferEvent(StateOfAction, of=EVENT):
    """``state``: ``inProgress``, ``success``, ``cancel``, ``busy``, ``noAnswer`` or ``error``."""

    __slots__ = ()

    sip_refer_to = Text("sip_refer_to")
    """Who was to be called."""
    sip_refer_response_code = Text("sip_refer_response_code")
    """The peer's reply to the REFER, such as ``"202"``."""
    sip_notify_response_code = Text("sip_notify_response_code")
    """What the new call came to, such as ``"200"``; empty while it goes on."""


class ReferVerb(CallBase):
    """``refer``."""

    async def refer(self, device: ReferDevice, *, status_url: str | None = None, **extra: Any) -> dict[str, Any]:
        """Ask the party's SIP phone to call somebody else. SIP calls only; ``calling.call.refer`` tells how it went.

        Args:
            device: who is to be called.
            status_url: is POSTed the events.
            extra: sent as it is.
        """
        return await self.command(Refer.method, compose(Refer, {"device": device, "status_url": status_url}, extra))
