"""Many parties on one line. The call stays in the conference until it leaves, or is over."""

from __future__ import annotations

from typing import Any, Literal

from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Flag, RelayEvent, Text, Whole
from offhook.client.words.compose import compose
from offhook.client.words.shapes import StreamSettings
from offhook.protocol.verbs.join_conference import EVENT, JoinConference, LeaveConference

__all__ = ["ConferenceEvent", "ConferenceVerb"]

Method = Literal["GET", "POST"]
Format = Literal["relay", "cxml", "laml"]


class ConferenceEvent(RelayEvent, of=EVENT):
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


class ConferenceVerb(CallBase):
    """``join_conference`` and ``leave_conference``."""

    async def join_conference(
        self,
        name: str,
        *,
        muted: bool | None = None,
        beep: Literal["true", "false", "onEnter", "onExit"] | None = None,
        max_participants: int | None = None,
        record: Literal["do-not-record", "record-from-start"] | None = None,
        start_on_enter: bool | None = None,
        end_on_exit: bool | None = None,
        wait_url: str | None = None,
        region: Literal["global", "us", "eu", "ch"] | None = None,
        trim: Literal["trim-silence", "do-not-trim"] | None = None,
        coach: str | None = None,
        status_callback: str | None = None,
        status_callback_event: str | None = None,
        status_callback_event_type: Format | None = None,
        status_callback_method: Method | None = None,
        recording_status_callback: str | None = None,
        recording_status_callback_event: str | None = None,
        recording_status_callback_event_type: Format | None = None,
        recording_status_callback_method: Method | None = None,
        stream_obj: StreamSettings | None = None,
        acl: Literal["private", "public-read"] | None = None,
        emit_call_quality: bool | None = None,
        **extra: Any,
    ) -> dict[str, Any]:
        """Join a conference, which is made if there is none of that name. The result has its ``conference_id``.

        Args:
            name: of the conference.
            muted: join without being heard.
            beep: ``true`` (default) at enter and exit, ``onEnter``, ``onExit``, ``false``.
            max_participants: 1 to 250, default 250.
            record: ``record-from-start``, or not (default).
            start_on_enter: the conference starts with this call, the default.
            end_on_exit: the conference ends with this call.
            wait_url: what is heard before the start: audio or SWML.
            region: where it runs, default ``global``.
            trim: ``trim-silence`` (default) of the recording.
            coach: id of the call that alone hears this one.
            status_callback: URL that is told events of the conference.
            status_callback_event: which, with spaces between: start end join leave mute hold modify speaker
                announcement.
            status_callback_event_type: form of the request, default ``relay``.
            status_callback_method: default ``POST``.
            recording_status_callback: URL that is told events of the recording.
            recording_status_callback_event: which: in-progress completed (default) absent.
            recording_status_callback_event_type: form of the request, default ``relay``.
            recording_status_callback_method: default ``POST``.
            stream_obj: a WebSocket that hears and speaks in the conference.
            acl: who may fetch the recording, default ``private``.
            emit_call_quality: send ``participant-call-quality`` events.
            extra: sent as it is.
        """
        given = {
            "name": name,
            "muted": muted,
            "beep": beep,
            "max_participants": max_participants,
            "record": record,
            "start_on_enter": start_on_enter,
            "end_on_exit": end_on_exit,
            "wait_url": wait_url,
            "region": region,
            "trim": trim,
            "coach": coach,
            "status_callback": status_callback,
            "status_callback_event": status_callback_event,
            "status_callback_event_type": status_callback_event_type,
            "status_callback_method": status_callback_method,
            "recording_status_callback": recording_status_callback,
            "recording_status_callback_event": recording_status_callback_event,
            "recording_status_callback_event_type": recording_status_callback_event_type,
            "recording_status_callback_method": recording_status_callback_method,
            "stream": stream_obj,
            "acl": acl,
            "emit_call_quality": emit_call_quality,
        }
        return await self.command(JoinConference.method, compose(JoinConference, given, extra))

    async def leave_conference(self, conference_id: str, **extra: Any) -> dict[str, Any]:
        """Leave a conference.

        Args:
            conference_id: of the result of ``join_conference``.
            extra: sent as it is.
        """
        return await self.command(
            LeaveConference.method, compose(LeaveConference, {"conference_id": conference_id}, extra)
        )
