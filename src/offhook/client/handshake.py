"""Who we are at the server: the first request on a socket, what it says to that, and what a resume needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from offhook.client.session_states import SessionSettings
from offhook.errors import RelayError
from offhook.protocol import codes, methods
from offhook.protocol.codes import RpcCode
from offhook.protocol.frames import ConnectParams, ConnectResult, Request, Response, RpcError, Version

__all__ = ["Handshake"]

_VERSION: Final = Version(2, 0, 0)
"""The newest version that still has ``signalwire.receive`` (relay-protocol 9, row 1)."""

_TRANSIENT: Final = frozenset(
    {RpcCode.REQUEST_TIMEOUT, RpcCode.NOT_AVAILABLE, RpcCode.CAPACITY_EXCEEDED, RpcCode.INTERNAL}
)
"""Refusals of a connect that say nothing about the credentials: tried again without being counted."""


class Handshake:
    """``protocol`` names the session at the server; ``keeps_ids_s``: how long it knows a repeated request again."""

    def __init__(self, settings: SessionSettings) -> None:
        self.protocol: str | None = None
        self.authorization_state: str | None = None
        self.keeps_ids_s = 0.0
        self.was_connected = False
        self._settings = settings
        self._refusals = 0

    def __repr__(self) -> str:
        return f"Handshake(resumes={self.protocol is not None}, refusals={self._refusals})"

    @property
    def is_hopeless(self) -> bool:
        """Refused so often, and never accepted, that the credentials must be wrong."""
        return not self.was_connected and self._refusals >= self._settings.max_refusals

    def request(self, frame_id: str, contexts: Sequence[str]) -> Request:
        """Say who we are, and what session to go on with (1.4)."""
        params = ConnectParams(
            version=_VERSION,
            authentication=self._settings.authentication,
            agent=self._settings.agent,
            event_acks=True,
            contexts=list(contexts),
            protocol=self.protocol,
            authorization_state=self.authorization_state if self.protocol is not None else None,
        )
        return Request(frame_id, methods.CONNECT, msgspec.to_builtins(params))

    def accept(self, frame: Response) -> bool | RelayError:
        """Take the reply: whether we are in the session that was before; or the refusal."""
        refusal = _refusal(frame)
        if refusal is not None:
            return self._refused(refusal)
        try:
            result = msgspec.convert(frame.result, ConnectResult, strict=False)
        except msgspec.ValidationError as error:
            text = f"the reply to signalwire.connect is unusable: {error}"
            return self._refused(RelayError(codes.LOCAL_ERROR, text))
        resumed = self.protocol is not None and result.protocol == self.protocol
        if not resumed:
            self.authorization_state = None
        self.protocol = result.protocol
        self.keeps_ids_s = result.keeps_request_ids_s
        self.was_connected = True
        self._refusals = 0
        return resumed

    def forget(self) -> None:
        """Begin afresh the next time."""
        self.protocol = self.authorization_state = None

    def _refused(self, error: RelayError) -> RelayError:
        """A refused resume is tried afresh."""
        self.forget()
        if error.code not in _TRANSIENT:
            self._refusals += 1
        return error


def _refusal(frame: Response) -> RelayError | None:
    """What a reply to connect refuses with: an error, or a result whose code is not 2xx (9, row 2)."""
    if isinstance(frame.error, RpcError):
        return RelayError(frame.error.code, frame.error.message)
    result = frame.result if isinstance(frame.result, dict) else {}
    code = str(result.get("code", "200"))
    if codes.is_success(code):
        return None
    return RelayError(int(code) if code.isdecimal() else codes.LOCAL_ERROR, str(result.get("message", "refused")))
