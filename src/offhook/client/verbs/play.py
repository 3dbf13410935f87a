"""Play text, files, silence and ringing tones to the party.

The method returns when the node has taken it; the action's ``wait`` returns when the last sound was played.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import StateOfAction
from offhook.client.listening.tasks import Handler
from offhook.client.words.compose import compose, new_id
from offhook.client.words.shapes import Media, RingtoneParams, TtsParams
from offhook.protocol.devices import Gender
from offhook.protocol.verbs import play

__all__ = ["PlayAction", "PlayEvent", "PlayVerb", "media_of_audio", "media_of_tts"]


class PlayEvent(StateOfAction, of=play.EVENT):
    """``state``: ``playing``, ``paused``, ``finished`` or ``error``."""

    __slots__ = ()


class PlayAction(Action[PlayEvent]):
    """Audio that plays. Ends with ``state`` ``finished`` (also after ``stop``) or ``error``."""

    spec = play.SPECS[0]

    async def pause(self) -> dict[str, Any]:
        """Pause playback."""
        return await self._command("pause")

    async def resume(self) -> dict[str, Any]:
        """Go on where it was paused."""
        return await self._command("resume")

    async def volume(self, volume: float) -> dict[str, Any]:
        """Set the volume of what plays.

        Args:
            volume: -40 (mute) to 40 dB, 0 unchanged.
        """
        return await self._command("volume", volume=volume)


class PlayVerb(CallBase):
    """``play`` and its short forms."""

    async def play(
        self,
        media: Sequence[Media],
        *,
        volume: float | None = None,
        direction: Literal["listen", "speak", "both"] | None = None,
        loop: int | None = None,
        control_id: str | None = None,
        language: str | None = None,
        voice: str | None = None,
        gender: Gender | None = None,
        status_url: str | None = None,
        on_completed: Handler[PlayEvent] | None = None,
        **extra: Any,
    ) -> PlayAction:
        """Play audio: text, files, silence and ringing tones, one after another.

        Args:
            media: what to play, in order, at least one.
            volume: -40 (mute) to 40 dB, default 0.
            direction: ``listen`` (default) the party hears it; ``speak`` it is mixed into what the party says.
            loop: how often, default 1; 0 until stopped.
            control_id: id of the action, default a new UUID.
            language: for text that has none of its own, default en-US.
            voice: for text that has none of its own.
            gender: for text that has none of its own, default female.
            status_url: is POSTed the events.
            on_completed: called with the last event, sync or async.
            extra: sent as it is.
        """
        action = PlayAction(self, control_id or new_id(), on_completed)
        given = {
            "control_id": action.control_id,
            "play": media,
            "volume": volume,
            "direction": direction,
            "loop": loop,
            "language": language,
            "voice": voice,
            "gender": gender,
            "status_url": status_url,
        }
        return await self.start(action, compose(play.Play, given, extra))

    async def play_tts(
        self,
        text: str,
        *,
        language: str | None = None,
        gender: Gender | None = None,
        voice: str | None = None,
        volume: float | None = None,
        direction: Literal["listen", "speak", "both"] | None = None,
        loop: int | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[PlayEvent] | None = None,
        **extra: Any,
    ) -> PlayAction:
        """Speak a text. The other parameters are those of ``play``.

        Args:
            text: plain or SSML.
            language: of the text, default en-US.
            gender: of the voice, default female.
            voice: its name; goes before ``gender``.
            extra: sent as it is.
        """
        return await self.play(
            [media_of_tts(text, language, gender, voice)],
            volume=volume,
            direction=direction,
            loop=loop,
            control_id=control_id,
            status_url=status_url,
            on_completed=on_completed,
            **extra,
        )

    async def play_audio(
        self,
        url: str,
        *,
        volume: float | None = None,
        direction: Literal["listen", "speak", "both"] | None = None,
        loop: int | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[PlayEvent] | None = None,
        **extra: Any,
    ) -> PlayAction:
        """Play a file. The other parameters are those of ``play``.

        Args:
            url: http or https; WAV or MP3.
            extra: sent as it is.
        """
        return await self.play(
            [media_of_audio(url)],
            volume=volume,
            direction=direction,
            loop=loop,
            control_id=control_id,
            status_url=status_url,
            on_completed=on_completed,
            **extra,
        )

    async def play_silence(
        self,
        duration: float,
        *,
        direction: Literal["listen", "speak", "both"] | None = None,
        loop: int | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[PlayEvent] | None = None,
        **extra: Any,
    ) -> PlayAction:
        """Play silence. The other parameters are those of ``play``.

        Args:
            duration: seconds, greater than 0.
            extra: sent as it is.
        """
        return await self.play(
            [{"type": "silence", "params": {"duration": duration}}],
            direction=direction,
            loop=loop,
            control_id=control_id,
            status_url=status_url,
            on_completed=on_completed,
            **extra,
        )

    async def play_ringtone(
        self,
        name: str,
        *,
        duration: float | None = None,
        volume: float | None = None,
        direction: Literal["listen", "speak", "both"] | None = None,
        loop: int | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[PlayEvent] | None = None,
        **extra: Any,
    ) -> PlayAction:
        """Play a country's ringing tone. The other parameters are those of ``play``.

        Args:
            name: the country's letters: ``us``, ``gb``.
            duration: seconds; without it until stopped.
            extra: sent as it is.
        """
        params: RingtoneParams = {"name": name}
        if duration is not None:
            params["duration"] = duration
        return await self.play(
            [{"type": "ringtone", "params": params}],
            volume=volume,
            direction=direction,
            loop=loop,
            control_id=control_id,
            status_url=status_url,
            on_completed=on_completed,
            **extra,
        )


def media_of_tts(text: str, language: str | None, gender: Gender | None, voice: str | None) -> Media:
    """Make the media element of a text."""
    params: TtsParams = {"text": text}
    if language is not None:
        params["language"] = language
    if gender is not None:
        params["gender"] = gender
    if voice is not None:
        params["voice"] = voice
    return {"type": "tts", "params": params}


def media_of_audio(url: str) -> Media:
    """Make the media element of a file."""
    return {"type": "audio", "params": {"url": url}}
