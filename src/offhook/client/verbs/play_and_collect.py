"""Ask a question and take the answer, by keys or speech.

Input ends the prompt (barge-in). The action ends with the result, also when nothing came: look at ``result_type``
of the event before you read ``digits`` or ``text``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.listening.tasks import Handler
from offhook.client.verbs.collect import CollectEvent, InputAction
from offhook.client.verbs.play import media_of_audio, media_of_tts
from offhook.client.words.compose import compose, new_id
from offhook.client.words.shapes import Collect, Media
from offhook.protocol.devices import Gender
from offhook.protocol.verbs.play_and_collect import SPECS, PlayAndCollect

__all__ = ["CollectAction", "PlayAndCollectVerb"]


class CollectAction(InputAction):
    """A prompt and its input. Ends with the result; events of the playback do not end it."""

    spec = SPECS[0]

    async def volume(self, volume: float) -> dict[str, Any]:
        """Set the volume of the prompt.

        Args:
            volume: -40 (mute) to 40 dB, 0 unchanged.
        """
        return await self._command("volume", volume=volume)


class PlayAndCollectVerb(CallBase):
    """``play_and_collect`` and its short forms."""

    async def play_and_collect(
        self,
        media: Sequence[Media],
        collect: Collect,
        *,
        volume: float | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[CollectEvent] | None = None,
        **extra: Any,
    ) -> CollectAction:
        """Play a prompt and collect digits or speech. Input ends the prompt.

        Args:
            media: what to play, in order, at least one.
            collect: what to collect: ``digits``, ``speech`` or both.
            volume: of the prompt, -40 (mute) to 40 dB, default 0.
            control_id: id of the action, default a new UUID.
            status_url: is POSTed the events.
            on_completed: called with the last event, sync or async.
            extra: sent as it is.
        """
        action = CollectAction(self, control_id or new_id(), on_completed)
        given = {
            "control_id": action.control_id,
            "play": media,
            "collect": collect,
            "volume": volume,
            "status_url": status_url,
        }
        return await self.start(action, compose(PlayAndCollect, given, extra))

    async def prompt_tts(
        self,
        text: str,
        collect: Collect,
        *,
        language: str | None = None,
        gender: Gender | None = None,
        voice: str | None = None,
        volume: float | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[CollectEvent] | None = None,
        **extra: Any,
    ) -> CollectAction:
        """Speak a text and collect input. The other parameters are those of ``play_and_collect``.

        Args:
            text: plain or SSML.
            language: of the text, default en-US.
            gender: of the voice, default female.
            voice: its name; goes before ``gender``.
            extra: sent as it is.
        """
        return await self.play_and_collect(
            [media_of_tts(text, language, gender, voice)],
            collect,
            volume=volume,
            control_id=control_id,
            status_url=status_url,
            on_completed=on_completed,
            **extra,
        )

    async def prompt_audio(
        self,
        url: str,
        collect: Collect,
        *,
        volume: float | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[CollectEvent] | None = None,
        **extra: Any,
    ) -> CollectAction:
        """Play a file and collect input. The other parameters are those of ``play_and_collect``.

        Args:
            url: http or https; WAV or MP3.
            extra: sent as it is.
        """
        return await self.play_and_collect(
            [media_of_audio(url)],
            collect,
            volume=volume,
            control_id=control_id,
            status_url=status_url,
            on_completed=on_completed,
            **extra,
        )
