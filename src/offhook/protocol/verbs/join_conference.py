"""``calling.join_conference`` and ``calling.leave_conference`` (relay-protocol 4.10)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

import msgspec

from offhook.protocol.devices import StreamParams
from offhook.protocol.params import CallParams, Url
from offhook.protocol.spec import VerbSpec

__all__ = ["EVENT", "SPECS", "ConferenceEvent", "JoinConference", "LeaveConference"]

EVENT: Final = "calling.conference"

Name = Annotated[str, msgspec.Meta(min_length=1, description="a name")]
CallbackFormat = Literal["relay", "cxml", "laml"]
HttpMethod = Literal["GET", "POST"]


class JoinConference(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.join_conference``. The conference is made if there is none of that name.

    ``beep``: true, false, onEnter or onExit, as text. ``coach``: the call that alone hears this one.
    ``*_event``: lists as text with spaces between. The first participant decides on the callbacks.
    """

    method: ClassVar[str] = "calling.join_conference"
    accepted: ClassVar[str] = "Joining conference"

    name: Name
    muted: bool = False
    beep: Annotated[bool | str, msgspec.Meta(description='one of "true", "false", "onEnter", "onExit"')] = "true"
    start_on_enter: bool = True
    end_on_exit: bool = False
    wait_url: Url | None = None
    max_participants: Annotated[int, msgspec.Meta(ge=1, le=250, description="a whole number from 1 to 250")] = 250
    record: Literal["do-not-record", "record-from-start"] = "do-not-record"
    region: Literal["global", "us", "eu", "ch"] = "global"
    trim: Literal["trim-silence", "do-not-trim"] = "trim-silence"
    acl: Literal["private", "public-read"] = "private"
    coach: str | None = None
    status_callback: Url | None = None
    status_callback_event: str | None = None
    status_callback_event_type: CallbackFormat = "relay"
    status_callback_method: HttpMethod = "POST"
    recording_status_callback: Url | None = None
    recording_status_callback_event: str = "completed"
    recording_status_callback_event_type: CallbackFormat = "relay"
    recording_status_callback_method: HttpMethod = "POST"
    stream: StreamParams | None = None
    emit_call_quality: bool = False


class LeaveConference(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.leave_conference``."""

    method: ClassVar[str] = "calling.leave_conference"
    accepted: ClassVar[str] = "Leaving conference"

    conference_id: Annotated[str, msgspec.Meta(min_length=1, description="the conference_id of the join")]


class ConferenceEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Params of ``calling.conference``. From ``call_id`` on: with the statuses that are about it.

    ``recording_duration`` is whole seconds, ``recording_file_size`` bytes.
    """

    conference_id: str
    name: str
    region: str
    size: int
    status: str
    call_id: str | None = None
    node_id: str | None = None
    muted: bool | None = None
    hold: bool | None = None
    coaching: bool | None = None
    call_id_to_coach: str | None = None
    start_on_join: bool | None = None
    end_on_leave: bool | None = None
    call_id_ending_conf: str | None = None
    reason_ended: str | None = None
    recording_url: str | None = None
    recording_duration: int | None = None
    recording_file_size: int | None = None
    announce_url: str | None = None


SPECS: Final = (
    VerbSpec(section=(4, 10), start=JoinConference, tells=(EVENT,), exclusive="blocking"),
    VerbSpec(section=(4, 10), start=LeaveConference, tells=(EVENT,)),
)
