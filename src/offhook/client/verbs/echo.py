"""Give the party its own voice back, to test a line."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import StateOfAction
from offhook.client.words.compose import compose
from offhook.protocol.verbs.echo import EVENT, Echo

__all__ = ["EchoEvent", "EchoVerb"]


class EchoEvent(StateOfAction, of=EVENT):
    """``state``: ``echoing`` or ``finished``."""

    __slots__ = ()


class EchoVerb(CallBase):
    """``echo``."""

    async def echo(
        self, *, timeout: float | None = None, status_url: str | None = None, **extra: Any
    ) -> dict[str, Any]:
        """Echo audio back to the party. Returns at once; ``calling.call.echo`` tells when it is over.

        Args:
            timeout: seconds, 5 to 120, default 60.
            status_url: is POSTed the events.
            extra: sent as it is.
        """
        return await self.command(Echo.method, compose(Echo, {"timeout": timeout, "status_url": status_url}, extra))
