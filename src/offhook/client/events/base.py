"""What all events have in common. Reading never fails: what is absent or of another type reads as empty, 0 or False."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar, overload

__all__ = [
    "EVENT_TYPES",
    "Flag",
    "Items",
    "Number",
    "Object",
    "RelayEvent",
    "StateOfAction",
    "Text",
    "Whole",
    "number_of",
    "text_of",
]

T = TypeVar("T")


def text_of(source: Mapping[str, Any], key: str) -> str:
    """Read a text, empty if there is none."""
    value = source.get(key)
    return value if isinstance(value, str) else ""


def number_of(source: Mapping[str, Any], key: str) -> float:
    """Read a number, 0 if there is none."""
    value = source.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0.0
    try:
        return float(value)
    except OverflowError:  # JSON has whole numbers of any length
        return 0.0


class Field(Generic[T]):
    """An attribute of an event, read from its params. ``path`` leads there: ``"detect.params.event"``."""

    def __init__(self, path: str) -> None:
        *self._steps, self._key = path.split(".")

    @overload
    def __get__(self, event: None, kind: type[RelayEvent]) -> Field[T]: ...
    @overload
    def __get__(self, event: RelayEvent, kind: type[RelayEvent]) -> T: ...
    def __get__(self, event: RelayEvent | None, kind: type[RelayEvent]) -> T | Field[T]:
        """Read it."""
        if event is None:
            return self
        if not self._steps:
            return self.read(event.params, self._key)
        source: Any = event.params
        for step in self._steps:
            source = source.get(step)
            if not isinstance(source, dict):
                return self.read({}, self._key)
        return self.read(source, self._key)

    def read(self, source: Mapping[str, Any], key: str) -> T:
        """Read the value out of its object."""
        raise NotImplementedError


class Text(Field[str]):
    """A text, empty if there is none."""

    def read(self, source: Mapping[str, Any], key: str) -> str:
        """Read it."""
        value = source.get(key)
        return value if isinstance(value, str) else ""


class Number(Field[float]):
    """A number, 0 if there is none."""

    def read(self, source: Mapping[str, Any], key: str) -> float:
        """Read it."""
        return number_of(source, key)


class Whole(Field[int]):
    """A whole number, 0 if there is none."""

    def read(self, source: Mapping[str, Any], key: str) -> int:
        """Read it."""
        return int(number_of(source, key))


class Flag(Field[bool]):
    """True or False; some servers write ``"true"``."""

    def read(self, source: Mapping[str, Any], key: str) -> bool:
        """Read it."""
        return source.get(key) in (True, "true")


class Object(Field[dict[str, Any]]):
    """An object, empty if there is none."""

    def read(self, source: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Read it."""
        value = source.get(key)
        return value if isinstance(value, dict) else {}


class Items(Field[list[Any]]):
    """A list, empty if there is none."""

    def read(self, source: Mapping[str, Any], key: str) -> list[Any]:
        """Read it."""
        value = source.get(key)
        return value if isinstance(value, list) else []


_CLASSES: Final[dict[str, type[RelayEvent]]] = {}

EVENT_TYPES: Final[Mapping[str, type[RelayEvent]]] = MappingProxyType(_CLASSES)
"""Classes of events by their types, all of them once ``offhook`` is imported; other types are plain RelayEvents."""


class RelayEvent:
    """One event. Types that are not known here are plain RelayEvents."""

    __slots__ = ("cause", "context", "event_type", "params", "timestamp")

    def __init_subclass__(cls, of: str | tuple[str, ...] = ()) -> None:
        """A class is for the types that stand in its head."""
        super().__init_subclass__()
        for event_type in (of,) if isinstance(of, str) else of:
            if event_type in _CLASSES:
                raise TypeError(f"{event_type} has a class: {_CLASSES[event_type].__name__}")
            _CLASSES[event_type] = cls

    event_type: str
    """Its type, such as ``calling.call.play``."""
    params: dict[str, Any]
    """Everything the server said, as it came."""
    timestamp: float
    """Seconds of the Unix epoch, from the envelope."""
    context: str
    """The context that it came in by; empty for events of calls that live."""
    cause: str | None
    """None for what the server sent. Endings that the client makes itself have empty params and say why: ``gone`` (the
    server no longer knows the call), ``ended`` (the call ended first), ``released`` (it was passed on or transferred),
    ``closed`` (the client was closed)."""

    def __init__(
        self,
        event_type: str,
        params: dict[str, Any],
        timestamp: float = 0.0,
        context: str = "",
        *,
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

    node_id = Text("node_id")
    """Node that handles the call."""
    call_id = Text("call_id")
    """The call, empty for events that have none."""
    control_id = Text("control_id")
    """The action, empty for events that belong to none."""
    segment_id = Text("segment_id")
    """Segment of the call."""
    tag = Text("tag")
    """Tag of the dial or connect that made the call."""


class StateOfAction(RelayEvent):
    """An event that says where its action is."""

    __slots__ = ()

    state = Text("state")
    """Where the action is."""
