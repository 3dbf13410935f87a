"""A script: what follows the 200 of a method, told as events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["Scene", "Script", "Told"]

Told = tuple[str, dict[str, Any]]
"""An event: its type and params, without the address of the call."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What a script may look at.

    ``how`` an operation ends: ``finished`` by itself, ``stopped`` by a command or the end of the call, or a state
    that the test named. ``memory`` is what the call keeps from one method to the next.
    """

    node_id: str
    call_id: str
    segment_id: str
    params: dict[str, Any]
    memory: dict[str, Any]
    how: str = "finished"
    now: float = 0.0

    @property
    def control_id(self) -> str:
        """Of the request, empty if it has none."""
        return str(self.params.get("control_id", ""))

    @property
    def state(self) -> str:
        """State with which an operation ends: a stopped one is finished, too."""
        return "finished" if self.how == "stopped" else self.how

    def tell(self, event_type: str, **params: Any) -> Told:
        """Make an event of this operation."""
        keyed = {"control_id": self.control_id} if self.control_id else {}
        return event_type, {**keyed, **params}

    def tell_long(self, event_type: str, **params: Any) -> Told:
        """Make an event that names the segment, too."""
        return self.tell(event_type, segment_id=self.segment_id, **params)


def _nothing(_: Scene) -> list[Told]:
    return []


def _plain(_: Scene) -> dict[str, Any]:
    return {}


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What follows a method.

    ``begin`` comes at once and ``end`` when the operation ends; without ``end`` nothing goes on. ``result`` is put
    beside code and message; it may refuse with CommandRefused. ``waits``: only the party, a command or the end of
    the call ends it. ``resumed``: what is told after ``resume``; without it the operation has no pause.
    """

    begin: Callable[[Scene], list[Told]] = _nothing
    end: Callable[[Scene], list[Told]] | None = None
    result: Callable[[Scene], dict[str, Any]] = _plain
    paused: Callable[[Scene], list[Told]] = _nothing
    resumed: Callable[[Scene], list[Told]] = _nothing
    waits: bool = False
