"""A scripted node with everything that can go wrong with a server, one at a time and all at once."""

from __future__ import annotations

from aiohttp import web

from offhook.protocol.frames import EVENTS_TRUNCATED, Request, Response, RpcError, dump_frame
from offhook.testing.node import ScriptedNode
from offhook.testing.scripted_session import ScriptedSession

__all__ = ["FaultyNode"]


class FaultyNode(ScriptedNode):
    """``is_away``: it hangs up on who comes. ``refuses``: the code with which it refuses who connects, None: nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.refuses: int | None = None

    async def _serve(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
        if self.is_away:
            assert request.transport is not None
            request.transport.abort()
            raise web.HTTPServiceUnavailable
        return await super()._serve(request)

    async def _connect(self, frame: Request, socket: web.WebSocketResponse) -> ScriptedSession | None:
        if self.refuses is None:
            return await super()._connect(frame, socket)
        error = RpcError(self.refuses, "try again, or do not")
        await socket.send_str(dump_frame(Response(id=frame.id, error=error)))
        return None

    async def say(self, text: str | bytes) -> None:
        """Say anything to every client that is there."""
        for session in list(self._sessions.values()):
            if session.socket is not None and not session.socket.closed:
                await (session.socket.send_str(text) if isinstance(text, str) else session.socket.send_bytes(text))

    async def ping(self) -> None:
        """Ping every client, as WebSocket does."""
        for session in list(self._sessions.values()):
            if session.socket is not None and not session.socket.closed:
                await session.socket.ping(b"there?")

    def forget(self) -> None:
        """Know no session any more: who comes back begins afresh. Calls go with them."""
        for session in self._sessions.values():
            if session.transport is not None:
                session.transport.abort()
        self._sessions.clear()

    async def truncate(self, *, says_what_lives: bool) -> None:
        """Lose what was not acked, and say so."""
        for session in list(self._sessions.values()):
            session.unacked.clear()
        lives = {call.call_id: list(call.open) for call in self.calls.values() if call.state.value != "ended"}
        await self.send(EVENTS_TRUNCATED, {"from": 1, "to": 9, **({"calls": lives} if says_what_lives else {})})
