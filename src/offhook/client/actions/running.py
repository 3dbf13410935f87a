"""The actions that run on a call: which event belongs to which, and that each of them ends."""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType
from typing import Final, cast

from offhook.client.actions.action import Action
from offhook.client.events import RelayEvent, made_here
from offhook.client.events.base import text_of
from offhook.errors import RelayError
from offhook.protocol.codes import ResultCode

__all__ = ["RunningActions"]


_NONE: Final = cast("dict[str, Action]", MappingProxyType({}))
"""Of every call on which nothing runs, and there may be thousands: it cannot be written to."""


class RunningActions:
    """``by_id`` has them by their ``control_id``."""

    __slots__ = ("by_id",)

    def __init__(self) -> None:
        self.by_id = _NONE

    def __repr__(self) -> str:
        return f"RunningActions({list(self.by_id)})"

    def begin(self, action: Action) -> None:
        """An action is about to be started.

        Raises:
            RelayError: 409, as of the node: another one that runs has its ``control_id``, and would never be told its
                end.
        """
        running = self.by_id.get(action.control_id)
        if running is not None and not running.is_over:
            verb = running.method.removeprefix("calling.")
            text = f"`control_id` belongs to a running {verb}: choose another"
            raise RelayError(int(ResultCode.CONFLICT), text)
        if self.by_id is _NONE:
            self.by_id = {}
        self.by_id[action.control_id] = action

    def tell(self, event: RelayEvent) -> None:
        """Take an event to the action it belongs to, or, when it has no ``control_id``, to those it may concern."""
        control_id = text_of(event.params, "control_id")
        if control_id:
            action = self.by_id.get(control_id)
            concerned = [] if action is None else [action]
        else:
            concerned = [action for action in self.by_id.values() if event.event_type in action.spec.keyless]
        for action in concerned:
            if action.handle(event):
                self.forget(action)

    def forget(self, action: Action) -> None:
        """Nothing more comes from it."""
        if self.by_id.get(action.control_id) is action:
            del self.by_id[action.control_id]

    def end_all(self, cause: str) -> None:
        """Nothing more comes from any of them."""
        actions = list(self.by_id.values())
        self.by_id = _NONE
        self._end(actions, cause)

    def end_gone(self, actions: Collection[Action]) -> None:
        """The server does not know these any more: those that have not ended meanwhile end, with cause ``gone``."""
        left = [action for action in actions if self.by_id.get(action.control_id) is action]
        for action in left:
            self.forget(action)
        self._end(left, "gone")

    def accepted_besides(self, known: Collection[str]) -> list[Action]:
        """Those that the server took and does not name."""
        return [one for one in self.by_id.values() if one.accepted and one.control_id not in known]

    def _end(self, actions: Collection[Action], cause: str) -> None:
        for action in actions:
            action.end(made_here(action.event_type, cause))
