"""Send a copy of the call's audio to an RTP receiver or a WebSocket; the parties notice nothing."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Object, StateOfAction
from offhook.client.listening.tasks import Handler
from offhook.client.words.compose import compose, new_id
from offhook.protocol.verbs import tap

__all__ = ["Tap", "TapAction", "TapDevice", "TapEvent", "TapVerb"]


class TapParams(TypedDict):
    """``direction``: ``listen`` what the party hears, ``speak`` what it says, ``both`` mixed."""

    direction: Literal["listen", "speak", "both"]


class Tap(TypedDict):
    """What to tap."""

    type: Literal["audio"]
    params: TapParams


class RtpParams(TypedDict):
    """``addr``: IPv4, and ``port``. ``codec``: OPUS, PCMA or PCMU; ``rate``: Hz. ``ptime``: ms a packet, 10 to 120."""

    addr: str
    port: int
    codec: NotRequired[str]
    ptime: NotRequired[int]
    rate: NotRequired[int]


class RtpDevice(TypedDict):
    """An RTP receiver."""

    type: Literal["rtp"]
    params: RtpParams


class WsParams(TypedDict):
    """``uri``: ws or wss. ``codec``: OPUS, PCMA or PCMU. ``rate``: Hz."""

    uri: str
    codec: NotRequired[str]
    rate: NotRequired[int]


class WsDevice(TypedDict):
    """A WebSocket server."""

    type: Literal["ws"]
    params: WsParams


TapDevice = RtpDevice | WsDevice


class TapEvent(StateOfAction, of=tap.EVENT):
    """``state``: ``tapping`` or ``finished``."""

    __slots__ = ()

    tap = Object("tap")
    """What is tapped."""
    device = Object("device")
    """Where it goes, with codec, ``ptime`` (ms) and ``rate`` (Hz) as they were resolved."""


class TapAction(Action[TapEvent]):
    """A tap that runs. Ends with ``state`` ``finished``.

    ``source_device`` says where its audio comes from: ``addr``, ``port``, ``codec``, ``ptime``, ``rate``.
    """

    spec = tap.SPECS[0]

    @property
    def source_device(self) -> dict[str, Any]:
        """Where the audio comes from, empty if the node did not say."""
        device = self.accepted.get("source_device")
        return device if isinstance(device, dict) else {}


class TapVerb(CallBase):
    """``tap``."""

    async def tap(
        self,
        tap: Tap,
        device: TapDevice,
        *,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[TapEvent] | None = None,
        **extra: Any,
    ) -> TapAction:
        """Send a copy of the call's audio somewhere.

        Args:
            tap: what to tap.
            device: where to send it.
            control_id: id of the action, default a new UUID.
            status_url: is POSTed the events.
            on_completed: called with the last event, sync or async.
            extra: sent as it is.
        """
        action = TapAction(self, control_id or new_id(), on_completed)
        given = {"control_id": action.control_id, "tap": tap, "device": device, "status_url": status_url}
        return await self.start(action, compose(_TAP, given, extra))


_TAP = tap.Tap  # the keyword of the same name hides the module
