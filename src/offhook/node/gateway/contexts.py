"""``signalwire.receive`` and ``unreceive``: the contexts of a session (relay-protocol 1.9)."""

from __future__ import annotations

from typing import Any

from offhook.errors import CommandRefused, PeerError
from offhook.node.gateway.commands import refusal
from offhook.node.gateway.sessions import Session, Sessions
from offhook.node.gateway.settings import GatewaySettings
from offhook.protocol import methods
from offhook.protocol.codes import ResultCode, RpcCode
from offhook.protocol.frames import ContextsParams, Request
from offhook.protocol.params import parse_params

__all__ = ["Contexts", "ContextsRefused"]


class ContextsRefused(PeerError):
    """Answered with a JSON-RPC error."""

    def __init__(self, code: RpcCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Contexts:
    """Names are of bounded length and number."""

    def __init__(self, sessions: Sessions, settings: GatewaySettings) -> None:
        self._sessions = sessions
        self._settings = settings

    def take(self, session: Session, request: Request) -> dict[str, Any]:
        """Subscribe or unsubscribe; the result of the request.

        Raises:
            ContextsRefused: the session may not, or the params are wrong.
        """
        contexts = self._names(session, request)
        if request.method == methods.UNRECEIVE:
            self._sessions.unsubscribe(session, contexts)
            return {"code": str(ResultCode.OK), "message": "Unreceiving events"}
        if len(session.contexts.keys() | set(contexts)) > self._settings.contexts_max:
            return refusal(ResultCode.BAD_REQUEST, f"at most {self._settings.contexts_max} contexts: unreceive some")
        self._sessions.subscribe(session, contexts)
        return {
            "code": str(ResultCode.OK),
            "message": "Receiving all inbound related to the requested relay contexts and available scopes",
        }

    def _names(self, session: Session, request: Request) -> list[str]:
        if session.version_major >= 4:
            raise ContextsRefused(
                RpcCode.VERSION_INCOMPATIBLE,
                f"{request.method} ended with version 4: name the contexts in signalwire.connect",
            )
        try:
            contexts = parse_params(ContextsParams, request.params).all
        except CommandRefused as refused:
            raise ContextsRefused(RpcCode.INVALID_PARAMS, refused.message) from refused
        longest = self._settings.context_max_characters
        if not contexts:
            raise ContextsRefused(RpcCode.INVALID_PARAMS, "`contexts` must name at least one context")
        if any(len(context) > longest for context in contexts):
            raise ContextsRefused(RpcCode.INVALID_PARAMS, f"`contexts` must be names of at most {longest} characters")
        return contexts
