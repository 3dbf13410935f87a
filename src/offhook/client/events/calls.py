"""Events of calls that belong to no verb of theirs: what calls live by, and dials, from which they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from offhook.client.events.base import Flag, Number, Object, RelayEvent, Text, Whole, text_of
from offhook.protocol.states import EndReason, parse_end_reason
from offhook.protocol.verbs.dial import EVENT as DIAL_EVENT
from offhook.protocol.verbs.state import RECEIVE_EVENT, STATE_EVENT

__all__ = [
    "CallReceiveEvent",
    "CallStateEvent",
    "DialEvent",
    "ErrorEvent",
    "end_reason_of",
]


class _CallEvent(RelayEvent):
    __slots__ = ()

    call_state = Text("call_state")
    """``created``, ``ringing``, ``answered``, ``ending`` or ``ended``."""
    direction = Text("direction")
    """``inbound`` or ``outbound``."""
    device = Object("device")
    """Type and params of the party's device."""


class CallReceiveEvent(_CallEvent, of=RECEIVE_EVENT):
    """An inbound call is offered. The context is in ``context``."""

    __slots__ = ()

    project_id = Text("project_id")
    """Project of the number that was called."""


class CallStateEvent(_CallEvent, of=STATE_EVENT):
    """A call changed its state."""

    __slots__ = ()

    end_source = Text("end_source")
    """Who ended it: ``inbound``, ``outbound`` or ``none``; empty before."""
    start_time_ms = Whole("start_time")
    """When it began: milliseconds of the Unix epoch, 0 while unknown."""
    answer_time_ms = Whole("answer_time")
    """When it was answered: milliseconds of the Unix epoch, 0 until then."""
    end_time_ms = Whole("end_time")
    """When it ended: milliseconds of the Unix epoch, 0 until then."""
    peer = Object("peer")
    """``node_id`` and ``call_id`` of the bridged call, empty when there is none."""
    parent = Object("parent")
    """``node_id``, ``call_id`` and ``device_type`` of the call that made this one."""
    sip_data = Object("sip_data")
    """What SIP said of the call; only for SIP calls."""
    audio_in_mos = Number("audio_in_mos")
    """Quality of what we heard, 1 to 5; usually with ``ended``, 0 while unknown."""
    is_dial_winner = Flag("dial_winner")
    """The leg of a dial that answered first."""

    @property
    def end_reason(self) -> EndReason | str:
        """Why it ended, whatever the spelling; empty before."""
        return end_reason_of(self.params, "end_reason")


class DialEvent(RelayEvent, of=DIAL_EVENT):
    """A dial goes on, is answered or failed."""

    __slots__ = ()

    dial_state = Text("dial_state")
    """``dialing``, ``answered`` or ``failed``."""
    call = Object("call")
    """The winner, as a call state; empty unless answered."""
    source = Text("source")
    """Who made it fail: ``inbound``, ``outbound`` or ``none``."""

    @property
    def reason(self) -> EndReason | str:
        """Why it failed."""
        return end_reason_of(self.params, "reason")


class ErrorEvent(RelayEvent, of="calling.error"):
    """Something failed on the server's side of a call."""

    __slots__ = ()

    code = Text("code")
    """Its code, empty if it has none."""
    is_fatal = Flag("fatal")
    """What failed does not go on."""

    @property
    def message(self) -> str:
        """What failed."""
        return text_of(self.params, "message") or text_of(self.params, "error")


def end_reason_of(source: Mapping[str, Any], key: str) -> EndReason | str:
    """Read an end reason, in whatever spelling; one that nobody lists as it is, empty if there is none."""
    text = text_of(source, key)
    return parse_end_reason(text) or text
