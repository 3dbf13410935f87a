"""Tell the other programs of a context something."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import RelayEvent, Text
from offhook.protocol.verbs import user_event

__all__ = ["UserEvent", "UserEventVerb"]


class UserEvent(RelayEvent, of=user_event.EVENT):
    """What an application told all others on the context. Its own keys are in ``params``."""

    __slots__ = ()

    topic = Text("topic")
    """What it is about, by convention."""


class UserEventVerb(CallBase):
    """``user_event``."""

    async def user_event(self, *, event: str | dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
        """Tell all applications on the call's context something: they get ``calling.user_event``.

        Args:
            event: a name, with the other keywords beside it, or an object that has all of it.
            keys: sent beside ``event``.
        """
        given = {"event": event, **keys}
        return await self.command(
            user_event.UserEvent.method, {key: value for key, value in given.items() if value is not None}
        )
