"""``calling.play_and_collect`` and its commands (relay-protocol 4.4). Events: those of play and collect."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec

from offhook.protocol.params import ControlParams, PositiveSeconds, Url, Volume
from offhook.protocol.spec import VerbSpec
from offhook.protocol.verbs import collect, play
from offhook.protocol.verbs.collect import DEFAULT_INITIAL_TIMEOUT_S, CollectDigits, CollectSpeech
from offhook.protocol.verbs.play import MediaList

__all__ = ["SPECS", "PlayAndCollect", "PlayAndCollectStop", "PlayAndCollectVolume", "PromptCollect", "PromptDigits"]


class PromptDigits(CollectDigits, frozen=True, kw_only=True):
    """How to collect digits after a prompt. Fewer than ``min`` are no match."""

    min: Annotated[int, msgspec.Meta(ge=0, description="a whole number, 0 or more")] = 0


class PromptCollect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to collect. ``initial_timeout`` runs from the end of playback."""

    initial_timeout: PositiveSeconds = DEFAULT_INITIAL_TIMEOUT_S
    digits: PromptDigits | None = None
    speech: CollectSpeech | None = None

    def __post_init__(self) -> None:
        if self.digits is None and self.speech is None:
            raise ValueError("collect needs `digits` or `speech`, or both")


class PlayAndCollect(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.play_and_collect``."""

    method: ClassVar[str] = "calling.play_and_collect"
    accepted: ClassVar[str] = "Playing and collecting"

    play: MediaList
    collect: PromptCollect
    volume: Volume = 0.0
    status_url: Url | None = None


class PlayAndCollectStop(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.play_and_collect.stop``: ends playback and collection."""

    method: ClassVar[str] = "calling.play_and_collect.stop"
    accepted: ClassVar[str] = "Stopping"


class PlayAndCollectVolume(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.play_and_collect.volume``."""

    method: ClassVar[str] = "calling.play_and_collect.volume"
    accepted: ClassVar[str] = "Changed play and collect volume"

    volume: Volume


SPECS: Final = (
    VerbSpec(
        section=(4, 4),
        start=PlayAndCollect,
        commands=(PlayAndCollectStop, PlayAndCollectVolume, collect.CollectStartInputTimers),
        event=collect.EVENT,
        tells=(play.EVENT,),
        exclusive="blocking",
        not_found="call",
        is_end=collect.is_collected,
        lost=({"result": {"type": "error"}},),
        settles=True,
    ),
)
