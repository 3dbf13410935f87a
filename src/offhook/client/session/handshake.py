"""Who we are at the server: the first request on a socket, what it says to that, and what a resume needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from offhook.client.session.states import SessionSettings
from offhook.errors import RelayError
from offhook.protocol import codes, methods
from offhook.protocol.codes import RpcCode
from offhook.protocol.frames import ConnectParams, ConnectResult, Request, Response, RpcError, Version

__all__ = ["Handshake"]

_VERSION: Final = Version(2, 0, 0)
"""The newest version that still has ``signalwire.receive`` (relay-protocol 9, row 1)."""

_TRANSIENT: Final = frozenset(
    {RpcCode.REQUEST_TIMEOUT, RpcCode.NOT_AVAILABLE, RpcCode.CAPACITY_EXCEEDED, RpcCode.INTERNAL}
) | frozenset({408, 429, *range(500, 600)})
"""Refusals that say nothing of the credentials or the session: tried again without being counted."""

_OF_CREDENTIALS: Final = frozenset({RpcCode.AUTHENTICATION_FAILED, RpcCode.VERSION_INCOMPATIBLE})
"""Refusals that say nothing of the session: with the right ones it may be resumed."""

_NAMES_THE_SESSION: Final = re.compile(r"\b(protocol|session)\b", re.IGNORECASE)


class Handshake:
    """``protocol`` names the session at the server; ``keeps_ids_s``: how long it knows a repeated request again."""

    def __init__(self, settings: SessionSettings) -> None:
        self.protocol: str | None = None
        self.authorization_state: str | None = None
        self.keeps_ids_s = 0.0
        self.was_connected = False
        self._settings = settings
        self._refusals = 0
        self._refused_resumes = 0

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
        refusal = self._refusal(frame)
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
        self._refusals = self._refused_resumes = 0
        return resumed

    def forget(self) -> None:
        """Begin afresh the next time."""
        self.protocol = self.authorization_state = None
        self._refused_resumes = 0

    def lapse(self) -> None:
        """Nothing waits for the session any more: if it was refused meanwhile, whatever for, begin afresh."""
        if self._refusals:
            self.forget()

    def _refused(self, error: RelayError) -> RelayError:
        """Count it. A session is forgotten when it is what the server refuses, or nothing else is left to change."""
        if error.code in _TRANSIENT:
            return error
        self._refusals += 1
        if self.protocol is not None and error.code not in _OF_CREDENTIALS:
            self._refused_resumes += 1
            if error.code == RpcCode.NOT_ALLOWED and self.authorization_state is not None:
                self.authorization_state = None  # a corrupt one is refused like this (1.6); the credentials do without
            elif self._is_of_the_session(error) or self._refused_resumes >= self._settings.max_refusals:
                self.forget()
        return error

    def _is_of_the_session(self, error: RelayError) -> bool:
        if error.code == codes.LOCAL_ERROR:
            return False  # the text is ours
        is_named = self.protocol is not None and self.protocol in error.message
        return error.code == RpcCode.NOT_ALLOWED or is_named or bool(_NAMES_THE_SESSION.search(error.message))

    def _refusal(self, frame: Response) -> RelayError | None:
        """What a reply to connect refuses with: an error, or a result whose code is not 2xx (9, row 2)."""
        if isinstance(frame.error, RpcError):
            return RelayError(codes.number_of_code(frame.error.code), self._settings.mask(frame.error.message))
        result = frame.result if isinstance(frame.result, dict) else {}
        code = codes.number_of_code(result.get("code", 200))
        if 200 <= code < 300:
            return None
        return RelayError(code, self._settings.mask(str(result.get("message", "refused"))))
