"""Have the text of a call when it is over; the text goes to ``status_url``."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Number, StateOfAction, Text, Whole
from offhook.client.listening.tasks import Handler
from offhook.client.words.compose import compose, new_id
from offhook.protocol.verbs import transcribe

__all__ = ["TranscribeAction", "TranscribeEvent", "TranscribeVerb"]


class TranscribeEvent(StateOfAction, of=transcribe.EVENT):
    """``state``: ``transcribing`` or ``finished``. The text goes to ``status_url`` alone."""

    __slots__ = ()

    url = Text("url")
    """The recording."""
    recording_id = Text("recording_id")
    """Its id."""
    duration_s = Number("duration")
    """Its length in seconds, 0 until finished."""
    size_bytes = Whole("size")
    """Its size, 0 until finished."""
    start_time_s = Number("start_time")
    """When it began: seconds of the Unix epoch, 0 until finished."""
    end_time_s = Number("end_time")
    """When it ended: seconds of the Unix epoch, 0 until finished."""


class TranscribeAction(Action[TranscribeEvent]):
    """A transcription that runs. Ends with ``state`` ``finished``. ``url`` is where its recording will be."""

    spec = transcribe.SPECS[0]

    @property
    def url(self) -> str:
        """The recording, empty if the node did not say."""
        return str(self.accepted.get("url", ""))


class TranscribeVerb(CallBase):
    """``transcribe``."""

    async def transcribe(
        self,
        *,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[TranscribeEvent] | None = None,
        **extra: Any,
    ) -> TranscribeAction:
        """Record the call and have it transcribed when it stops. One at a time.

        Args:
            control_id: id of the action, default a new UUID.
            status_url: is POSTed the text; the events do not carry it.
            on_completed: called with the last event, sync or async.
            extra: sent as it is.
        """
        action = TranscribeAction(self, control_id or new_id(), on_completed)
        given = {"control_id": action.control_id, "status_url": status_url}
        return await self.start(action, compose(transcribe.Transcribe, given, extra))
