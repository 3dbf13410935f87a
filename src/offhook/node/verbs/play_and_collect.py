"""``calling.play_and_collect``: a prompt and the digits that answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import MappingProxyType
from typing import ClassVar

from offhook.errors import CommandRefused
from offhook.node.calls.action import Cause
from offhook.node.calls.call import Call
from offhook.node.calls.digits import CollectedDigits, DigitInput, DigitRule
from offhook.node.calls.label import OpenAction
from offhook.node.calls.ports import Events
from offhook.node.engine.reports import OperationEnded
from offhook.node.verbs.base import Frame, Unbuilt, Verb, VerbPorts
from offhook.node.verbs.source import Playback, PlaybackRequest, check_media
from offhook.protocol.codes import ResultCode
from offhook.protocol.states import CollectResultType, PlayState
from offhook.protocol.verbs import play, play_and_collect

__all__ = ["PlayAndCollect"]


class PlayAndCollect(Verb[play_and_collect.PlayAndCollect]):
    """The first digit ends the prompt, inside the engine; the initial timeout counts from the prompt's end."""

    spec = play_and_collect.SPECS[0]
    unbuilt: ClassVar[Unbuilt] = MappingProxyType({"status_url": None, "collect.speech": None})

    def __init__(self, call: Call, params: play_and_collect.PlayAndCollect, ports: VerbPorts, events: Events) -> None:
        super().__init__(call, params, ports, events)
        request = PlaybackRequest(media=params.play, volume_db=params.volume, interrupt=["digit"])
        self._playback = Playback(self.leg, request, ports)
        self._prompting: asyncio.Task[OperationEnded] | None = None
        self._has_played = False
        self._timers = asyncio.Event()
        self._result: CollectedDigits | None = None

    @classmethod
    def check(cls, params: play_and_collect.PlayAndCollect) -> None:
        check_media(params.play)

    async def run(self) -> None:
        with DigitInput(self.leg, self._rule()) as keys:
            self.accept()
            reading = asyncio.create_task(keys.read(self._timers, self._heard), name="digits")
            prompting = self._prompting = asyncio.create_task(self._playback.run(self._playing), name="prompt")
            try:
                await asyncio.wait({prompting})
                if not prompting.cancelled():
                    prompting.result()
                await self._playback.close()
                self._played()
                self._timers.set()
                self._result = await reading
            finally:
                reading.cancel()
                prompting.cancel()
                await asyncio.gather(reading, prompting, return_exceptions=True)

    async def finish(self, cause: Cause) -> Sequence[Frame]:
        await self._playback.close()
        if cause in (Cause.ERROR, Cause.ENGINE_LOST) or (cause is Cause.FINISHED and self._result is None):
            return self.broken(self.open_action, self.failure, self.ports)[self._has_played :]
        frames: list[Frame] = [] if self._has_played else [(play.EVENT, {"state": PlayState.FINISHED.value})]
        if cause is Cause.FINISHED and self._result is not None:
            return [*frames, (self.event, {"result": self._result.result()})]
        types = (CollectResultType.FINISHED, CollectResultType.NO_INPUT)  # each settles one published client
        return [*frames, *((self.event, {"result": {"type": result.value}}) for result in types)]

    @classmethod
    def broken(cls, action: OpenAction, message: str, ports: VerbPorts) -> Sequence[Frame]:  # noqa: ARG003
        result = {"type": CollectResultType.ERROR.value, "params": {"message": message}}
        return [
            (play.EVENT, {"state": PlayState.ERROR.value, "message": message}),
            (cls.event, {"result": result}),
        ]

    async def volume(self, params: play_and_collect.PlayAndCollectVolume) -> None:
        """Change the volume of the prompt."""
        await self._playback.set_volume(params.volume)

    async def start_input_timers(self, _params: object) -> None:
        """Let the initial timeout count from now, also while the prompt plays."""
        self._timers.set()

    def _rule(self) -> DigitRule:
        digits = self.params.collect.digits
        if digits is None:
            raise CommandRefused(ResultCode.BAD_REQUEST, "`collect.digits` is missing")
        return DigitRule(
            max=digits.max,
            min=digits.min,
            terminators=digits.terminators,
            digit_timeout_s=digits.digit_timeout,
            initial_timeout_s=self.params.collect.initial_timeout,
        )

    def _heard(self, _digits: str) -> None:
        """The engine is silent by now if it played; what has not begun yet must not begin."""
        if self._prompting is not None:
            self._prompting.cancel()

    def _playing(self) -> None:
        if not self.is_ending:
            self.emit(play.EVENT, {"state": PlayState.PLAYING.value})

    def _played(self) -> None:
        if not self.is_ending and not self._has_played:
            self._has_played = True
            self.emit(play.EVENT, {"state": PlayState.FINISHED.value})
