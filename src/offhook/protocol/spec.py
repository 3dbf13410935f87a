"""What every floor must know of a verb, said once: its methods, its event, when it is over, how a lost one ends.

Each module of ``protocol/verbs`` has its ``SPECS``; gateway, registry, SDK and docs read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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
    ``is_end``: whether an event of that type is its last.
    ``lost``: what its last events say beside the call's address when nobody is left who knows more.
    ``settles``: its events wait until its result had time to arrive (relay-protocol 10.5, rule 1).
    ``outlives_node``: another node may go on with it.
    """

    section: tuple[int, int]
    start: type[Params]
    commands: tuple[type[Params], ...] = ()
    event: str = ""
    is_end: Callable[[EventFields], bool] = is_finished
    lost: tuple[dict[str, Any], ...] = ({"state": "error"},)
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

    def ends_with(self, event_type: str, params: EventFields) -> bool:
        """Whether this event is the last of such a verb."""
        return self.event != "" and event_type == self.event and self.is_end(params)

    def state_told_by(self, event_type: str, params: EventFields) -> str:
        """The state that this event tells of one that another node can go on with, and must not repeat; else empty."""
        if not self.outlives_node or event_type != self.event:
            return ""
        return str(params.get("state", ""))

    def lost_events(self, address: EventFields) -> list[tuple[str, dict[str, Any]]]:
        """Types and params of the events that end one with ``error``; none for one that no event ends."""
        return [(self.event, {**address, **params}) for params in self.lost] if self.event else []
