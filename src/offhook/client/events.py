"""Events as the app sees them. Attributes read from ``params``, which stay as they came; unknown types are RelayEvents.

Reading never fails: what is absent or of another type than the protocol says reads as empty, 0 or None.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from offhook.protocol.frames import EventParams
from offhook.protocol.states import EndReason, parse_end_reason
from offhook.protocol.verbs import collect, dial, echo, play, record, send_digits
from offhook.protocol.verbs.state import RECEIVE_EVENT, STATE_EVENT

__all__ = [
    "CallReceiveEvent",
    "CallStateEvent",
    "CollectEvent",
    "DialEvent",
    "EchoEvent",
    "PlayEvent",
    "RecordEvent",
    "RelayEvent",
    "SendDigitsEvent",
    "made_here",
    "parse_event",
]


class RelayEvent:
    """One event.

    ``timestamp`` is seconds of the Unix epoch, from the envelope. ``cause`` is None for what the server sent; endings
    that the client makes itself have empty params and say why: ``gone`` (the server no longer knows the call),
    ``ended`` (the call ended first), ``released`` (it was passed on), ``closed`` (the client was closed).
    """

    __slots__ = ("cause", "context", "event_type", "params", "timestamp")

    def __init__(
        self,
        event_type: str,
        params: dict[str, Any],
        *,
        timestamp: float = 0.0,
        context: str = "",
        cause: str | None = None,
    ) -> None:
        self.event_type = event_type
        self.params = params
        self.timestamp = timestamp
        self.context = context
        self.cause = cause

    def __repr__(self) -> str:
        cause = f", cause={self.cause!r}" if self.cause else ""
        return f"{type(self).__name__}({self.event_type!r}, call_id={self.call_id!r}{cause})"

    @property
    def node_id(self) -> str:
        """Node that handles the call."""
        return self._text("node_id")

    @property
    def call_id(self) -> str:
        """The call, empty for events that have none."""
        return self._text("call_id")

    @property
    def control_id(self) -> str:
        """The action, empty for events that belong to none."""
        return self._text("control_id")

    @property
    def segment_id(self) -> str:
        """Segment of the call."""
        return self._text("segment_id")

    @property
    def tag(self) -> str:
        """Tag of the dial or connect that made the call."""
        return self._text("tag")

    def _text(self, key: str) -> str:
        value = self.params.get(key)
        return value if isinstance(value, str) else ""

    def _number(self, key: str) -> float:
        value = self.params.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0

    def _object(self, key: str) -> dict[str, Any]:
        value = self.params.get(key)
        return value if isinstance(value, dict) else {}


class _CallEvent(RelayEvent):
    __slots__ = ()

    @property
    def call_state(self) -> str:
        """``created``, ``ringing``, ``answered``, ``ending`` or ``ended``."""
        return self._text("call_state")

    @property
    def direction(self) -> str:
        """``inbound`` or ``outbound``."""
        return self._text("direction")

    @property
    def device(self) -> dict[str, Any]:
        """Type and params of the party's device."""
        return self._object("device")


class CallReceiveEvent(_CallEvent):
    """An inbound call is offered. The context is in ``context``."""

    __slots__ = ()

    @property
    def project_id(self) -> str:
        """Project of the number that was called."""
        return self._text("project_id")


class CallStateEvent(_CallEvent):
    """A call changed its state."""

    __slots__ = ()

    @property
    def end_reason(self) -> EndReason | str:
        """Why it ended, whatever the spelling; empty before."""
        text = self._text("end_reason")
        return parse_end_reason(text) or text

    @property
    def end_source(self) -> str:
        """Who ended it: ``inbound``, ``outbound`` or ``none``; empty before."""
        return self._text("end_source")

    @property
    def start_time_ms(self) -> int:
        """When it began: milliseconds of the Unix epoch, 0 while unknown."""
        return int(self._number("start_time"))

    @property
    def answer_time_ms(self) -> int:
        """When it was answered: milliseconds of the Unix epoch, 0 until then."""
        return int(self._number("answer_time"))

    @property
    def end_time_ms(self) -> int:
        """When it ended: milliseconds of the Unix epoch, 0 until then."""
        return int(self._number("end_time"))

    @property
    def peer(self) -> dict[str, Any]:
        """``node_id`` and ``call_id`` of the bridged call, empty when there is none."""
        return self._object("peer")

    @property
    def parent(self) -> dict[str, Any]:
        """``node_id``, ``call_id`` and ``device_type`` of the call that made this one."""
        return self._object("parent")

    @property
    def is_dial_winner(self) -> bool:
        """The leg of a dial that answered first."""
        return self.params.get("dial_winner") in ("true", True)


class DialEvent(RelayEvent):
    """A dial goes on, is answered or failed."""

    __slots__ = ()

    @property
    def dial_state(self) -> str:
        """``dialing``, ``answered`` or ``failed``."""
        return self._text("dial_state")

    @property
    def call(self) -> dict[str, Any]:
        """The winner, as a call state; empty unless answered."""
        return self._object("call")

    @property
    def reason(self) -> EndReason | str:
        """Why it failed."""
        text = self._text("reason")
        return parse_end_reason(text) or text

    @property
    def source(self) -> str:
        """Who made it fail: ``inbound``, ``outbound`` or ``none``."""
        return self._text("source")


class _StateOfAction(RelayEvent):
    __slots__ = ()

    @property
    def state(self) -> str:
        """Where the action is."""
        return self._text("state")


class PlayEvent(_StateOfAction):
    """``state``: ``playing``, ``paused``, ``finished`` or ``error``."""

    __slots__ = ()


class SendDigitsEvent(_StateOfAction):
    """``state``: ``finished`` or ``error``."""

    __slots__ = ()


class EchoEvent(_StateOfAction):
    """``state``: ``echoing`` or ``finished``."""

    __slots__ = ()


class RecordEvent(_StateOfAction):
    """``state``: ``recording``, ``paused``, ``finished`` or ``no_input``. Some servers nest results in ``record``."""

    __slots__ = ()

    @property
    def url(self) -> str:
        """Where the recording can be fetched."""
        return self._text("url") or _text_of(self._object("record"), "url")

    @property
    def recording_id(self) -> str:
        """Its id."""
        return self._text("recording_id")

    @property
    def duration_s(self) -> float:
        """Its length in seconds, 0 until finished."""
        return self._number("duration") or _number_of(self._object("record"), "duration")

    @property
    def size_bytes(self) -> int:
        """Its size, 0 until finished."""
        return int(self._number("size") or _number_of(self._object("record"), "size"))

    @property
    def record(self) -> dict[str, Any]:
        """How it is recorded: ``audio`` with ``format``, ``stereo`` and ``direction``."""
        return self._object("record")


class CollectEvent(_StateOfAction):
    """Input of a collect. ``state`` is empty but for partial and continuous collects."""

    __slots__ = ()

    @property
    def result(self) -> dict[str, Any]:
        """``type`` and ``params`` of what was heard."""
        return self._object("result")

    @property
    def result_type(self) -> str:
        """``digit``, ``speech``, ``no_input``, ``no_match``, ``start_of_input``, ``finished`` or ``error``."""
        return _text_of(self.result, "type")

    @property
    def digits(self) -> str:
        """The keys pressed, without the terminator."""
        return _text_of(self._result_params, "digits")

    @property
    def terminator(self) -> str:
        """The terminator pressed, empty if none."""
        return _text_of(self._result_params, "terminator")

    @property
    def text(self) -> str:
        """What was said."""
        return _text_of(self._result_params, "text")

    @property
    def confidence(self) -> float:
        """How sure the recogniser is, 0 to 100; 0 when unscored."""
        return _number_of(self._result_params, "confidence")

    @property
    def is_final(self) -> bool:
        """False for a partial result."""
        return self.params.get("final") is not False

    @property
    def _result_params(self) -> dict[str, Any]:
        params = self.result.get("params")
        return params if isinstance(params, dict) else {}


def _text_of(source: dict[str, Any], key: str) -> str:
    value = source.get(key)
    return value if isinstance(value, str) else ""


def _number_of(source: dict[str, Any], key: str) -> float:
    value = source.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


_TYPES: Final[Mapping[str, type[RelayEvent]]] = MappingProxyType(
    {
        RECEIVE_EVENT: CallReceiveEvent,
        STATE_EVENT: CallStateEvent,
        dial.EVENT: DialEvent,
        play.EVENT: PlayEvent,
        record.EVENT: RecordEvent,
        collect.EVENT: CollectEvent,
        send_digits.EVENT: SendDigitsEvent,
        echo.EVENT: EchoEvent,
    }
)


def parse_event(envelope: EventParams) -> RelayEvent:
    """Make the typed event of an envelope. The flat body of a task becomes its params."""
    params = envelope.params if envelope.message is None else envelope.message
    kind = _TYPES.get(envelope.event_type, RelayEvent)
    context = envelope.context or _text_of(params, "context")
    return kind(envelope.event_type, params, timestamp=envelope.timestamp, context=context)


def made_here(event_type: str, cause: str) -> RelayEvent:
    """Make an ending of the client's own: empty params and a cause."""
    return _TYPES.get(event_type, RelayEvent)(event_type, {}, cause=cause)
