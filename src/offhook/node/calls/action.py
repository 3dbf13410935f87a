"""A running verb, as its call sees it and as who started it does."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple, Protocol

import msgspec

from offhook.node.calls.label import OpenAction

__all__ = ["ActionKey", "CallAction", "Cause", "Outcome", "Running"]


class Cause(Enum):
    """What ended an action. The first one counts."""

    FINISHED = "finished"
    STOPPED = "stopped"
    HANGUP = "hangup"
    ENGINE_LOST = "engine_lost"
    ERROR = "error"


class ActionKey(NamedTuple):
    """Names an action on its call. ``script``: whose name it is; empty: a client's."""

    name: str
    script: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """How an action ended.

    ``params``: of its terminal event, without the call's address; they say what came of it, and whether it failed.
    """

    cause: Cause
    params: Mapping[str, Any]


class CallAction(Protocol):
    """A running verb, as its call sees it."""

    @property
    def open_action(self) -> OpenAction:
        """What the label keeps of it."""
        ...

    def end(self, cause: Cause) -> None:
        """Begin to end it; the first cause counts."""
        ...

    async def live(self) -> None:
        """Run until its terminal events are out."""
        ...


class Running(Protocol):
    """A verb that was started, for who started it. A waiter that is cancelled changes nothing."""

    async def accepted(self) -> dict[str, Any]:
        """Wait until it is sure to begin; what its result carries (the ``url`` of a recording).

        Raises:
            offhook.errors.CommandRefused: it does not begin, and tells nothing.
        """
        ...

    async def ended(self) -> Outcome:
        """Wait for its end, which comes with the call's at the latest.

        Raises:
            offhook.errors.CommandRefused: it did not begin.
        """
        ...

    async def stop(self) -> None:
        """End it; without effect on one that has ended. ``ended`` tells when it is over."""
        ...
