"""From media elements to what the engine plays, and one playback of them on a leg."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from offhook.errors import CommandRefused, EngineLost, EngineRefused, MachineError
from offhook.node.calls.leg import EngineOperation, Leg
from offhook.node.calls.refusals import steered
from offhook.node.calls.waiting import until_any
from offhook.node.engine.ops import FileSource, Play, SilenceSource, Source, Tone, ToneSource
from offhook.node.engine.prompts import Asker
from offhook.node.engine.reports import OperationEnded
from offhook.node.verbs.base import VerbPorts
from offhook.protocol.codes import ResultCode
from offhook.protocol.devices import (
    RINGTONES,
    AudioMedia,
    Media,
    RingtoneMedia,
    RingtoneParams,
    SilenceMedia,
    TtsMedia,
    TtsParams,
)

__all__ = ["Playback", "PlaybackRequest", "SpeechDefaults", "check_media"]

MAX_ITEMS = 500
MAX_FETCHED_AT_ONCE = 4
MAX_TEXT_CHARACTERS = 10_000
CADENCES = {"us": [Tone(2000, [440.0, 480.0]), Tone(4000)]}
_READY_LIMIT_S = 5.0


class SpeechDefaults(msgspec.Struct, frozen=True):
    """For TTS items that do not say it themselves."""

    language: str = ""
    gender: str = ""
    voice: str = ""


class PlaybackRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to play, and how."""

    media: list[Media]
    volume_db: float = 0.0
    side: Literal["listen", "speak", "both"] = "listen"
    loops: int = 1
    interrupt: list[Literal["digit", "speech"]] = []
    speech: SpeechDefaults = SpeechDefaults()


def check_media(media: Sequence[Media]) -> None:
    """Refuse what cannot be played.

    Raises:
        CommandRefused: 400 for an unknown ringtone, a text too long or too many items; 501 for a ringtone not built.
    """
    if len(media) > MAX_ITEMS:
        raise CommandRefused(ResultCode.BAD_REQUEST, f"`play` may have at most {MAX_ITEMS} items: split it")
    for item in media:
        if isinstance(item, RingtoneMedia) and item.params.name not in CADENCES:
            if item.params.name in RINGTONES:
                message = f"`play[].params.name`: the ringtone {item.params.name} is not built yet: use us"
                raise CommandRefused(ResultCode.NOT_IMPLEMENTED, message)
            raise CommandRefused(ResultCode.BAD_REQUEST, "`play[].params.name` must be the name of a ringtone: us")
        if isinstance(item, TtsMedia) and len(item.params.text) > MAX_TEXT_CHARACTERS:
            message = f"`play[].params.text` must be at most {MAX_TEXT_CHARACTERS} characters: split it"
            raise CommandRefused(ResultCode.BAD_REQUEST, message)


class Playback:
    """Plays a request on a leg, once. ``run`` it in one task; command it from others; ``close`` it in any case."""

    def __init__(self, leg: Leg, request: PlaybackRequest, ports: VerbPorts) -> None:
        self._leg = leg
        self._request = request
        self._ports = ports
        self._volume_db = request.volume_db
        self._asker = Asker(leg.id)
        self._fetches = asyncio.Semaphore(MAX_FETCHED_AT_ONCE)
        self._operation: asyncio.Future[EngineOperation] = asyncio.get_running_loop().create_future()
        self.lasting_operation = 0
        """The engine's operation, from just before it gets the last of what there is to play, and whole; else 0."""

    def adopt(self, running: EngineOperation, prompts: Sequence[str]) -> None:
        """Take what a former node handed over, all of it; then ``run``. ``prompts``: files that it still names."""
        for prompt in prompts:
            self._ports.fetcher.keep(prompt, self._asker)
        self._operation.set_result(running)
        self.lasting_operation = running.id

    async def run(self, playing: Callable[[], None], handing_over: Callable[[], None] = lambda: None) -> OperationEnded:
        """Fetch and play to the end.

        ``playing`` is called at the first frame, ``handing_over`` just before the engine gets the last of it.

        Raises:
            OffhookError: an item cannot be played, or the engine failed.
        """
        if self._operation.done():
            running = self._operation.result()
            if await running.first_frame():
                playing()
            return await self._end_of(running, None)
        first, *others = self._request.media
        rest = [asyncio.create_task(self._source(item), name="source") for item in others]
        feeding: asyncio.Task[None] | None = None
        try:
            sources = [await self._source(first)]
            is_by_turns = self._request.loops == 1  # a repeated list must be whole before it begins
            if not is_by_turns:
                sources += [await task for task in rest]
            play = self._play(sources, more=is_by_turns and bool(rest))
            if not play.more:
                self._hand_over(play.id, sources, handing_over)
            running = await self._leg.start(play)
            self._operation.set_result(running)
            if play.volume_db != self._volume_db:
                await self._adjust(running)
            if play.more:
                feeding = asyncio.create_task(self._feed(running, rest, handing_over, [*sources]), name="feed")
            if await running.first_frame():
                playing()
            return await self._end_of(running, feeding)
        finally:
            await _cancel([*rest, *([feeding] if feeding else [])])

    async def close(self) -> None:
        """Silence it and wait for its end; nothing of it remains."""
        try:
            if not self._operation.done():
                self._operation.cancel()
            elif not self._operation.cancelled():
                with contextlib.suppress(EngineRefused, EngineLost):  # its end comes with the leg's
                    await self._leg.stop(self._operation.result())
        finally:
            self._asker.close()

    # --- commands --------------------------------------------------------------------------------------------

    async def pause(self) -> None:
        """Pause; answers after the engine did."""
        running = await self._running()
        await steered(self._leg.pause(running))

    async def resume(self) -> None:
        """Go on."""
        await steered(self._leg.resume(await self._running()))

    async def set_volume(self, volume_db: float) -> None:
        """Change the volume, also of what has not begun."""
        self._volume_db = volume_db
        if self._operation.done():
            await steered(self._leg.set_volume(await self._running(), volume_db))

    async def _running(self) -> EngineOperation:
        await asyncio.wait({self._operation}, timeout=_READY_LIMIT_S)
        if not self._operation.done():
            raise CommandRefused(ResultCode.CONFLICT, "Nothing plays yet: wait for the event playing")
        if self._operation.cancelled() or self._operation.result().is_over:
            raise CommandRefused(ResultCode.CONFLICT, "It has ended")
        return self._operation.result()

    # --- inside ----------------------------------------------------------------------------------------------

    def _play(self, sources: list[Source], *, more: bool) -> Play:
        request = self._request
        return Play(
            self._leg.next_id(),
            self._leg.id,
            sources,
            side=request.side,
            volume_db=self._volume_db,
            loops=request.loops,
            more=more,
            interrupt=request.interrupt,
        )

    async def _adjust(self, running: EngineOperation) -> None:
        try:
            await self._leg.set_volume(running, self._volume_db)
        except EngineRefused:
            if not running.is_over:  # or its end says why
                raise

    async def _feed(
        self,
        running: EngineOperation,
        rest: list[asyncio.Task[Source]],
        handing_over: Callable[[], None],
        sources: list[Source],
    ) -> None:
        for index, task in enumerate(rest):
            source = await task
            if running.is_over:
                return
            sources.append(source)
            is_last = index == len(rest) - 1
            if is_last:
                self._hand_over(running.id, sources, handing_over)
            await self._leg.append(running, [source], more=not is_last)

    def _hand_over(self, operation: int, sources: list[Source], tell: Callable[[], None]) -> None:
        """A file that still grows is written by a process that goes with its node."""
        if not any(isinstance(source, FileSource) and source.growing for source in sources):
            self.lasting_operation = operation
            tell()

    @staticmethod
    async def _end_of(running: EngineOperation, feeding: asyncio.Task[None] | None) -> OperationEnded:
        if feeding is not None:
            await until_any(running.ended, feeding)
            if feeding.done() and not running.is_over:
                feeding.result()
        ended = await running.over()
        if ended.cause == "error":
            raise MachineError(ended.detail or "The engine could not play this")
        return ended

    async def _source(self, item: Media) -> Source:
        async with self._fetches:
            return await self._fetched(item)

    async def _fetched(self, item: Media) -> Source:
        match item:
            case AudioMedia():
                return await self._ports.fetcher.fetch(item.params.url, self._asker)
            case TtsMedia(params=params):
                return await self._speak(params)
            case SilenceMedia():
                return SilenceSource(round(item.params.duration * 1000))
            case RingtoneMedia(params=params):
                return _ringtone(params)

    async def _speak(self, params: TtsParams) -> Source:
        default = self._request.speech
        return await self._ports.speech.synthesize(
            params.text,
            self._asker,
            language=params.language or default.language or TtsParams.default_language,
            gender=params.gender or default.gender or TtsParams.default_gender,
            voice=params.voice or default.voice,
        )


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.gather(*tasks, return_exceptions=True)


def _ringtone(params: RingtoneParams) -> Source:
    """Without a duration: until stopped (relay-protocol 9, row 28)."""
    return ToneSource(CADENCES[params.name], -1 if params.duration is None else round(params.duration * 1000))
