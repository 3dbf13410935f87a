"""Send the call's audio to a WebSocket of yours, as JSON messages, while it is spoken."""

from __future__ import annotations

from typing import Any, Literal

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import StateOfAction, Text
from offhook.client.listening.tasks import Handler
from offhook.client.words.compose import compose, new_id
from offhook.protocol.verbs import stream

__all__ = ["StreamAction", "StreamEvent", "StreamVerb"]


class StreamEvent(StateOfAction, of=stream.EVENT):
    """``state``: ``streaming`` or ``finished``."""

    __slots__ = ()

    url = Text("url")
    """The WebSocket."""
    name = Text("name")
    """Name of the stream."""


class StreamAction(Action[StreamEvent]):
    """A stream that runs. Ends with ``state`` ``finished``."""

    spec = stream.SPECS[0]


class StreamVerb(CallBase):
    """``stream``."""

    async def stream(
        self,
        url: str,
        *,
        name: str | None = None,
        codec: str | None = None,
        track: Literal["inbound_track", "outbound_track", "both_tracks"] | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        status_url_method: Literal["GET", "POST"] | None = None,
        authorization_bearer_token: str | None = None,
        custom_parameters: dict[str, Any] | None = None,
        on_completed: Handler[StreamEvent] | None = None,
        **extra: Any,
    ) -> StreamAction:
        """Stream call audio to a WebSocket, as JSON messages.

        Args:
            url: of the WebSocket, ``wss://``.
            name: of the stream.
            codec: PCMU, PCMA, G722 or L16, with ``@<hz>h`` and ``@<ms>i``; default the call's.
            track: ``inbound_track`` (default) what the party says, ``outbound_track`` what it hears.
            control_id: id of the action, default a new UUID.
            status_url: is sent the events.
            status_url_method: how, default ``POST``.
            authorization_bearer_token: goes into the handshake's ``Authorization`` header.
            custom_parameters: go into the stream's ``start`` message.
            on_completed: called with the last event, sync or async.
            extra: sent as it is.
        """
        action = StreamAction(self, control_id or new_id(), on_completed)
        given = {
            "control_id": action.control_id,
            "url": url,
            "name": name,
            "codec": codec,
            "track": track,
            "status_url": status_url,
            "status_url_method": status_url_method,
            "authorization_bearer_token": authorization_bearer_token,
            "custom_parameters": custom_parameters,
        }
        return await self.start(action, compose(stream.Stream, given, extra))
