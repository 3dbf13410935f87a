"""Events of audio: played, recorded, sent elsewhere, transcribed, faxed."""

from __future__ import annotations

from offhook.client.events.base import Flag, Number, Object, RelayEvent, StateOfAction, Text, Whole, number_of, text_of

__all__ = [
    "FaxEvent",
    "PlayEvent",
    "RecordEvent",
    "SendDigitsEvent",
    "StreamEvent",
    "TapEvent",
    "TranscribeEvent",
]


class PlayEvent(StateOfAction):
    """``state``: ``playing``, ``paused``, ``finished`` or ``error``."""

    __slots__ = ()


class SendDigitsEvent(StateOfAction):
    """``state``: ``finished`` or ``error``."""

    __slots__ = ()


class RecordEvent(StateOfAction):
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


class FaxEvent(RelayEvent):
    """A page of a fax, or its end."""

    __slots__ = ()

    type = Text("fax.type")
    """``page`` or ``finished``."""
    direction = Text("fax.params.direction")
    """``send`` or ``receive``."""
    number = Whole("fax.params.number")
    """Of a page: which, from 1."""
    pages = Whole("fax.params.pages")
    """At the end: how many there were."""
    success = Flag("fax.params.success")
    """At the end: it went through."""
    result = Whole("fax.params.result")
    """At the end: 0 is success."""
    result_text = Text("fax.params.result_text")
    """At the end: the result in words."""
    document = Text("fax.params.document")
    """At the end: where the document can be fetched."""
    identity = Text("fax.params.identity")
    """Our number, as faxes write it on top."""
    remote_identity = Text("fax.params.remote_identity")
    """Theirs."""


class TapEvent(StateOfAction):
    """``state``: ``tapping`` or ``finished``."""

    __slots__ = ()

    tap = Object("tap")
    """What is tapped."""
    device = Object("device")
    """Where it goes, with codec, ``ptime`` (ms) and ``rate`` (Hz) as they were resolved."""


class StreamEvent(StateOfAction):
    """``state``: ``streaming`` or ``finished``."""

    __slots__ = ()

    url = Text("url")
    """The WebSocket."""
    name = Text("name")
    """Name of the stream."""


class TranscribeEvent(StateOfAction):
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
