"""What every floor must know of a verb, said once: its methods, its event, when it is over, how a lost one ends.

Each module of ``protocol/verbs`` has its ``SPECS``; gateway, registry, SDK and docs read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from offhook.protocol.params import Params

__all__ = ["EventFields", "VerbSpec", "is_finished"]

EventFields = Mapping[str, Any]
"""Params of an event as they are on the wire."""


def is_finished(params: EventFields) -> bool:
    """The last state of most verbs (relay-protocol 4, keyed actions)."""
    return params.get("state") in ("finished", "error")


class VerbSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One verb on the wire. ``section``: of the RELAY reference.

    ``commands``: params of the methods that steer it while it runs.
    ``event``: the type of its events; empty: it has none, and is over when it is answered.
    ``is_end``: whether an event of that type is its last. ``is_result``: whether it is what who waits for the verb
    wants, of verbs that go on after that.
    ``keyless``: types of events that concern it and carry no ``control_id``. ``tells``: types of what else it tells,
    of which none ends it.
    ``lost``: what its last events say beside the call's address when nobody is left who knows more.
    ``exclusive``: of verbs of one such class one runs at a time on a call; empty: it runs beside any.
    ``not_found``: what a 404 says is not there: the call, as its params name nothing else; the target, of which they
    name or mean one; or the method, which some services do not have (relay-protocol 9, row 20).
    ``settles``: its events wait until its result had time to arrive (relay-protocol 10.5, rule 1).
    ``outlives_node``: another node may go on with it.
    """

    section: tuple[int, int]
    start: type[Params]
    commands: tuple[type[Params], ...] = ()
    event: str = ""
    is_end: Callable[[EventFields], bool] = is_finished
    is_result: Callable[[EventFields], bool] | None = None
    keyless: tuple[str, ...] = ()
    tells: tuple[str, ...] = ()
    lost: tuple[dict[str, Any], ...] = ({"state": "error"},)
    exclusive: str = ""
    not_found: Literal["call", "target", "method"] = "target"
    settles: bool = False
    outlives_node: bool = False

    @property
    def method(self) -> str:
        """The method that starts it."""
        return self.start.method

    @property
    def structs(self) -> tuple[type[Params], ...]:
        """Params of all its methods."""
        return (self.start, *self.commands)

    @property
    def events(self) -> tuple[str, ...]:
        """Types of all its events."""
        return tuple(dict.fromkeys((*((self.event,) if self.event else ()), *self.keyless, *self.tells)))

    def ends_with(self, event_type: str, params: EventFields) -> bool:
        """Whether this event is the last of such a verb."""
        return self.event != "" and event_type == self.event and self.is_end(params)

    def results_in(self, event_type: str, params: EventFields) -> bool:
        """Whether this event is what who waits for such a verb wants, and more follows."""
        return self.is_result is not None and event_type == self.event and self.is_result(params)

    def state_told_by(self, event_type: str, params: EventFields) -> str:
        """The state that this event tells of one that another node can go on with, and must not repeat; else empty."""
        if not self.outlives_node or event_type != self.event:
            return ""
        return str(params.get("state", ""))

    def lost_events(self, address: EventFields) -> list[tuple[str, dict[str, Any]]]:
        """Types and params of the events that end one with ``error``; none for one that no event ends."""
        return [(self.event, {**address, **params}) for params in self.lost] if self.event else []
