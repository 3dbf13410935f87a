"""One client's session on the scripted node: it outlives its sockets, and keeps events until they are acked."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import OrderedDict
from typing import Any

import msgspec
from aiohttp import web

from offhook.protocol import methods
from offhook.protocol.frames import EventParams, FrameId, Request, Response, dump_frame

__all__ = ["ScriptedSession"]


class ScriptedSession:
    """A session. ``replies`` are those given, for requests that come again with their id."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.contexts: list[str] = []
        self.socket: web.WebSocketResponse | None = None
        self.transport: asyncio.WriteTransport | None = None
        self.unacked: OrderedDict[str, str] = OrderedDict()
        self.replies: dict[FrameId, Response] = {}

    def __repr__(self) -> str:
        return f"ScriptedSession(contexts={self.contexts!r}, unacked={len(self.unacked)})"

    async def event(self, event_type: str, params: dict[str, Any], context: str = "") -> None:
        """Send an event, and keep it until it is acked."""
        envelope = EventParams(
            event_type=event_type, params=params, event_channel=self.protocol, timestamp=time.time(), context=context
        )
        frame_id = str(uuid.uuid4())
        text = dump_frame(Request(frame_id, methods.EVENT, msgspec.to_builtins(envelope)))
        self.unacked[frame_id] = text
        await self.send(text)

    async def send(self, text: str) -> None:
        """Send a frame, if there is a socket."""
        if self.socket is not None and not self.socket.closed:
            try:
                await self.socket.send_str(text)
            except ConnectionError:
                return  # kept in unacked, sent again after the resume
