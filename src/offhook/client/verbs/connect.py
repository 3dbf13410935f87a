"""Bridge the call to another party.

The reply only says that the node tries. ``calling.call.connect`` tells ``connected``, or ``failed`` with its reason:
begin to wait for it before you ask, as the example does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Object, RelayEvent, Text
from offhook.client.events.calls import end_reason_of
from offhook.client.words.compose import compose
from offhook.client.words.shapes import ConnectDevice, Media
from offhook.protocol.states import EndReason
from offhook.protocol.verbs.connect import EVENT, Connect
from offhook.protocol.verbs.disconnect import Disconnect

__all__ = ["ConnectEvent", "ConnectVerb"]


class ConnectEvent(RelayEvent, of=EVENT):
    """A bridge is made, goes, or failed."""

    __slots__ = ()

    connect_state = Text("connect_state")
    """``connecting``, ``connected``, ``disconnected`` or ``failed``."""
    peer = Object("peer")
    """The other end: ``node_id``, ``call_id``, ``tag``, ``device``, and ``queue_id`` and ``queue_name`` of a queue."""

    @property
    def failed_reason(self) -> EndReason | str:
        """Why it failed; empty otherwise."""
        return end_reason_of(self.params, "failed_reason")


class ConnectVerb(CallBase):
    """``connect`` and ``disconnect``."""

    async def connect(
        self,
        devices: Sequence[Sequence[ConnectDevice]],
        *,
        ringback: Sequence[Media] | None = None,
        tag: str | None = None,
        max_duration: int | None = None,
        max_price_per_minute: float | None = None,
        status_url: str | None = None,
        timeout: float | None = None,
        send_digits: str | None = None,
        **extra: Any,
    ) -> dict[str, Any]:
        """Bridge the call to another party. Returns when the node took it; ``calling.call.connect`` tells the rest.

        When it is connected, ``peer_call`` is the other party's call.

        Args:
            devices: the outer list is tried in order, the devices of an inner one ring at the same time.
            ringback: what the caller hears until the answer, in order.
            tag: label of the new leg.
            max_duration: seconds after which the bridge ends.
            max_price_per_minute: skip devices that cost more.
            status_url: is POSTed the events.
            timeout: seconds to ring a device that says nothing itself, default 30.
            send_digits: DTMF for the new leg after its answer; ``w`` pauses 0.5 s, ``W`` 1 s.
            extra: sent as it is.
        """
        given = {
            "devices": devices,
            "ringback": ringback,
            "tag": tag,
            "max_duration": max_duration,
            "max_price_per_minute": max_price_per_minute,
            "status_url": status_url,
            "timeout": timeout,
            "send_digits": send_digits,
        }
        return await self.command(Connect.method, compose(Connect, given, extra))

    async def disconnect(self, *, reason: str | None = None, **extra: Any) -> dict[str, Any]:
        """Take the bridge down; both parties stay on the line.

        Args:
            reason: passed on in the events.
            extra: sent as it is.
        """
        return await self.command(Disconnect.method, compose(Disconnect, {"reason": reason}, extra))
