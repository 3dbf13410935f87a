"""Events of conferences, rooms and queues."""

from __future__ import annotations

from offhook.client.events.base import Flag, RelayEvent, Text, Whole

__all__ = ["ConferenceEvent", "QueueEvent", "RoomEvent"]


class ConferenceEvent(RelayEvent):
    """A conference changed. ``call_id`` is set when it is about a participant."""

    __slots__ = ()

    conference_id = Text("conference_id")
    """Its id."""
    name = Text("name")
    """Its name."""
    region = Text("region")
    """Where it runs."""
    size = Whole("size")
    """How many are in it."""
    status = Text("status")
    """``conference-start``, ``participant-join``, ``record-stop``, ``conference-end`` and so on."""
    muted = Flag("muted")
    """The participant is muted."""
    hold = Flag("hold")
    """The participant is on hold."""
    coaching = Flag("coaching")
    """The participant coaches the call in ``call_id_to_coach``."""
    call_id_to_coach = Text("call_id_to_coach")
    """The call that alone hears the participant."""
    start_on_join = Flag("start_on_join")
    """The conference starts with the participant."""
    end_on_leave = Flag("end_on_leave")
    """The conference ends with the participant."""
    reason_ended = Text("reason_ended")
    """Why the conference ended."""
    call_id_ending_conf = Text("call_id_ending_conf")
    """Who ended it."""
    recording_url = Text("recording_url")
    """Where its recording can be fetched, when it is over."""
    recording_duration_s = Whole("recording_duration")
    """Length of the recording in seconds."""
    recording_size_bytes = Whole("recording_file_size")
    """Size of the recording."""
    announce_url = Text("announce_url")
    """The announcement that ended or failed."""


class RoomEvent(RelayEvent):
    """The call joined or left a room."""

    __slots__ = ()

    join_status = Text("join_status")
    """``joined``, ``failed``, ``leave``, ``cancel`` or ``locked``."""
    room_name = Text("room_name")
    """Name of the room."""


class QueueEvent(RelayEvent):
    """The call's place in a queue. Times are microseconds of the Unix epoch, 0 until they happen."""

    __slots__ = ()

    status = Text("status")
    """``enqueue``, ``stats``, ``dequeue`` or ``leave``."""
    id = Text("id")
    """Id of the queue."""
    name = Text("name")
    """Name of the queue."""
    position = Whole("position")
    """From 1; 0 when it left."""
    size = Whole("size")
    """How many wait."""
    average_wait_s = Whole("avg_time")
    """How long callers wait, in seconds."""
    enqueued_at_us = Whole("enqueue_ts")
    """When it was queued."""
    dequeued_at_us = Whole("dequeue_ts")
    """When it was taken out."""
    left_at_us = Whole("leave_ts")
    """When it left."""
