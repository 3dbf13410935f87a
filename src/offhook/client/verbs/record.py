"""Record the call, the party alone or both sides.

The event that ends the action has the file's ``url``, ``duration_s`` and ``size_bytes``.
"""

from __future__ import annotations

from typing import Any, Literal

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Number, Object, StateOfAction, Text, number_of, text_of
from offhook.client.listening.tasks import Handler
from offhook.client.words.compose import compose, new_id
from offhook.client.words.shapes import RecordAudio
from offhook.protocol.verbs import record

__all__ = ["RecordAction", "RecordEvent", "RecordVerb"]


class RecordEvent(StateOfAction, of=record.EVENT):
    """``state``: ``recording``, ``paused``, ``finished`` or ``no_input``. Some servers nest results in ``record``."""

    __slots__ = ()

    recording_id = Text("recording_id")
    """Its id."""
    record = Object("record")
    """How it is recorded: ``audio`` with ``format``, ``stereo`` and ``direction``."""
    start_time_s = Number("start_time")
    """When it began: seconds of the Unix epoch, 0 until finished."""
    end_time_s = Number("end_time")
    """When it ended: seconds of the Unix epoch, 0 until finished."""

    @property
    def url(self) -> str:
        """Where the recording can be fetched."""
        return text_of(self.params, "url") or text_of(self.record, "url")

    @property
    def duration_s(self) -> float:
        """Its length in seconds, 0 until finished."""
        return number_of(self.params, "duration") or number_of(self.record, "duration")

    @property
    def size_bytes(self) -> int:
        """Its size, 0 until finished."""
        return int(number_of(self.params, "size") or number_of(self.record, "size"))


class RecordAction(Action[RecordEvent]):
    """A recording that runs. Ends with ``state`` ``finished`` (with ``url``), ``no_input`` or ``error``."""

    spec = record.SPECS[0]

    async def pause(self, behavior: Literal["skip", "silence"] | None = None) -> dict[str, Any]:
        """Pause recording.

        Args:
            behavior: ``skip`` (the default) cuts the paused span out, ``silence`` keeps it as silence.
        """
        return await self._command("pause", **({} if behavior is None else {"behavior": behavior}))

    async def resume(self) -> dict[str, Any]:
        """Go on recording."""
        return await self._command("resume")


class RecordVerb(CallBase):
    """``record``."""

    async def record(
        self,
        audio: RecordAudio | None = None,
        *,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[RecordEvent] | None = None,
        **extra: Any,
    ) -> RecordAction:
        """Record the call.

        Args:
            audio: what to record and when to end; without it what the party says, until stopped.
            control_id: id of the action, default a new UUID.
            status_url: is POSTed the events.
            on_completed: called with the last event, sync or async.
            extra: sent as it is.
        """
        action = RecordAction(self, control_id or new_id(), on_completed)
        settings = {"audio": {} if audio is None else audio}
        given = {"control_id": action.control_id, "record": settings, "status_url": status_url}
        return await self.start(action, compose(record.Record, given, extra))
