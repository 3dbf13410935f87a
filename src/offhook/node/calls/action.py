"""A running verb, as its call sees it."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from offhook.node.calls.label import OpenAction

__all__ = ["CallAction", "Cause"]


class Cause(Enum):
    """What ended an action. The first one counts."""

    FINISHED = "finished"
    STOPPED = "stopped"
    HANGUP = "hangup"
    ENGINE_LOST = "engine_lost"
    ERROR = "error"


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
