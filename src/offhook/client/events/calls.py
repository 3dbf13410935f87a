"""Events of a call's life and of its bridges."""

from __future__ import annotations

from offhook.client.events.base import Flag, Number, Object, RelayEvent, StateOfAction, Text, Whole, text_of
from offhook.protocol.states import EndReason, parse_end_reason

__all__ = [
    "CallReceiveEvent",
    "CallStateEvent",
    "ConnectEvent",
    "DenoiseEvent",
    "DialEvent",
    "EchoEvent",
    "ErrorEvent",
    "HoldEvent",
    "ReferEvent",
    "UserEvent",
]


class _CallEvent(RelayEvent):
    __slots__ = ()

    call_state = Text("call_state")
    """``created``, ``ringing``, ``answered``, ``ending`` or ``ended``."""
    direction = Text("direction")
    """``inbound`` or ``outbound``."""
    device = Object("device")
    """Type and params of the party's device."""


class CallReceiveEvent(_CallEvent):
    """An inbound call is offered. The context is in ``context``."""

    __slots__ = ()

    project_id = Text("project_id")
    """Project of the number that was called."""


class CallStateEvent(_CallEvent):
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
        return _reason(text_of(self.params, "end_reason"))


class DialEvent(RelayEvent):
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
        return _reason(text_of(self.params, "reason"))


class ConnectEvent(RelayEvent):
    """A bridge is made, goes, or failed."""

    __slots__ = ()

    connect_state = Text("connect_state")
    """``connecting``, ``connected``, ``disconnected`` or ``failed``."""
    peer = Object("peer")
    """The other end: ``node_id``, ``call_id``, ``tag``, ``device``, and ``queue_id`` and ``queue_name`` of a queue."""

    @property
    def failed_reason(self) -> EndReason | str:
        """Why it failed; empty otherwise."""
        return _reason(text_of(self.params, "failed_reason"))


class ReferEvent(StateOfAction):
    """``state``: ``inProgress``, ``success``, ``cancel``, ``busy``, ``noAnswer`` or ``error``."""

    __slots__ = ()

    sip_refer_to = Text("sip_refer_to")
    """Who was to be called."""
    sip_refer_response_code = Text("sip_refer_response_code")
    """The peer's reply to the REFER, such as ``"202"``."""
    sip_notify_response_code = Text("sip_notify_response_code")
    """What the new call came to, such as ``"200"``; empty while it goes on."""


class HoldEvent(StateOfAction):
    """``state``: ``hold`` or ``unhold``."""

    __slots__ = ()


class DenoiseEvent(RelayEvent):
    """The denoiser was switched."""

    __slots__ = ()

    denoised = Flag("denoised")
    """It is on."""


class EchoEvent(StateOfAction):
    """``state``: ``echoing`` or ``finished``."""

    __slots__ = ()


class UserEvent(RelayEvent):
    """What an application told all others on the context. Its own keys are in ``params``."""

    __slots__ = ()

    topic = Text("topic")
    """What it is about, by convention."""


class ErrorEvent(RelayEvent):
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


def _reason(text: str) -> EndReason | str:
    return parse_end_reason(text) or text
