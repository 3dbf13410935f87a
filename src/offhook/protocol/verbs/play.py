"""``calling.play`` and its commands (relay-protocol 4.2)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

import msgspec

from offhook.protocol.devices import Gender, Media
from offhook.protocol.params import MAX_COUNT, ControlParams, Url, Volume
from offhook.protocol.spec import VerbSpec
from offhook.protocol.states import PlayState

__all__ = ["EVENT", "SPECS", "MediaList", "Play", "PlayEvent", "PlayPause", "PlayResume", "PlayStop", "PlayVolume"]

EVENT: Final = "calling.call.play"

MediaList = Annotated[list[Media], msgspec.Meta(min_length=1, description="a list of at least one media element")]


class Play(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.play``.

    ``direction``: ``listen`` the remote party hears it, ``speak`` it is mixed into what the party says.
    ``loop``: how often, 0 until stopped. ``language``, ``voice`` and ``gender`` serve TTS items without their own.
    """

    method: ClassVar[str] = "calling.play"
    accepted: ClassVar[str] = "Playing"

    play: MediaList
    volume: Volume = 0.0
    direction: Literal["listen", "speak", "both"] = "listen"
    loop: Annotated[
        int,
        msgspec.Meta(ge=0, le=MAX_COUNT, description=f"a whole number, 0 (until stopped) or more, at most {MAX_COUNT}"),
    ] = 1
    language: str | None = None
    voice: str | None = None
    gender: Gender | None = None
    status_url: Url | None = None


class PlayPause(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.play.pause``."""

    method: ClassVar[str] = "calling.play.pause"
    accepted: ClassVar[str] = "Paused play"


class PlayResume(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.play.resume``."""

    method: ClassVar[str] = "calling.play.resume"
    accepted: ClassVar[str] = "Resumed play"


class PlayStop(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.play.stop``."""

    method: ClassVar[str] = "calling.play.stop"
    accepted: ClassVar[str] = "Stopping"


class PlayVolume(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.play.volume``."""

    method: ClassVar[str] = "calling.play.volume"
    accepted: ClassVar[str] = "Changed play volume"

    volume: Volume


class PlayEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.play``."""

    node_id: str
    call_id: str
    control_id: str
    state: PlayState


SPECS: Final = (
    VerbSpec(
        section=(4, 2),
        start=Play,
        commands=(PlayPause, PlayResume, PlayStop, PlayVolume),
        event=EVENT,
        not_found="call",
        outlives_node=True,
    ),
)
