"""``calling.play``: audio, text, silence and ringtones, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import ClassVar

from offhook.node.calls.action import Cause
from offhook.node.calls.call import Call
from offhook.node.calls.label import Inherited
from offhook.node.calls.ports import Events
from offhook.node.verbs.base import Frame, Unbuilt, Verb, VerbPorts
from offhook.node.verbs.source import Playback, PlaybackRequest, SpeechDefaults, check_media
from offhook.protocol.params import parse_params
from offhook.protocol.states import PlayState
from offhook.protocol.verbs import play

__all__ = ["Play"]


class Play(Verb[play.Play]):
    """Ends when all was played, stopped or cannot be played."""

    spec = play.SPECS[0]
    unbuilt: ClassVar[Unbuilt] = MappingProxyType({"status_url": None})

    def __init__(self, call: Call, params: play.Play, ports: VerbPorts, events: Events) -> None:
        super().__init__(call, params, ports, events)
        request = PlaybackRequest(
            media=params.play,
            volume_db=params.volume,
            side=params.direction,
            loops=params.loop,
            speech=SpeechDefaults(params.language or "", params.gender or "", params.voice or ""),
        )
        self._playback = Playback(self.leg, request, ports)

    @classmethod
    def check(cls, params: play.Play) -> None:
        check_media(params.play)

    async def run(self) -> None:
        self.accept()
        if self.is_held_for_paused:
            self._begun()
        await self._playback.run(self._begun, self.call.relabel)

    async def finish(self, cause: Cause) -> Sequence[Frame]:
        await self._playback.close()
        if cause in (Cause.ERROR, Cause.ENGINE_LOST):
            return self.broken(self.open_action, self.failure, self.ports)
        return [(self.event, {"state": PlayState.FINISHED.value})]

    @property
    def lasting_operation(self) -> int:
        return 0 if self.is_paused else self._playback.lasting_operation

    @classmethod
    def adopted(cls, call: Call, inherited: Inherited, ports: VerbPorts) -> Play:
        action = inherited.action
        silence = {"type": "silence", "params": {"duration": 1}}  # what it plays the engine knows
        address = {"node_id": call.settings.node_id, "call_id": call.call_id, "control_id": action.control_id}
        verb = cls(call, parse_params(play.Play, {**address, "play": [silence]}), ports, call.events)
        verb.inherit(inherited)
        verb._playback.adopt(call.leg.adopt(action.operation), inherited.prompts)
        verb.accept()
        return verb

    async def pause(self, _params: play.PlayPause) -> None:
        """Stand still; a second time changes nothing."""
        if self.is_paused:
            return
        with self.pausing(True):
            await self._playback.pause()
        self._say(PlayState.PAUSED)

    async def resume(self, _params: play.PlayResume) -> None:
        """Go on; without a pause it changes nothing."""
        if not self.is_paused:
            return
        with self.pausing(False):
            await self._playback.resume()
        self._say(PlayState.PLAYING)

    async def volume(self, params: play.PlayVolume) -> None:
        """Change the volume."""
        await self._playback.set_volume(params.volume)

    def _begun(self) -> None:
        if not self.has_begun:
            self.has_begun = True
            self._say(PlayState.PLAYING)

    def _say(self, state: PlayState) -> None:
        if not self.is_ending:
            self.emit(self.event, {"state": state.value})
