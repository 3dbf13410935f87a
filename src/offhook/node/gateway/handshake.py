"""``signalwire.connect``: who is it, and is it a new session or an old one (relay-protocol 1.4, reliability T23)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import structlog

from offhook.errors import CommandRefused, PeerError
from offhook.node.gateway.auth import Credentials, Grant, SealedState, StateRefused
from offhook.node.gateway.failures import FailedConnects
from offhook.node.gateway.ids import new_event_id, new_identity, signature_of
from offhook.node.gateway.sessions import NoPlace, Session, Sessions
from offhook.node.gateway.settings import GatewaySettings
from offhook.protocol import methods
from offhook.protocol.codes import RpcCode
from offhook.protocol.frames import AUTHORIZATION_STATE, ConnectParams, ConnectResult, Request, dump_frame
from offhook.protocol.params import dump_params, parse_params

__all__ = ["Admission", "Handshake", "HandshakeRefused"]

log = structlog.get_logger(__name__)
_VERSION_MAJOR_MAX = 4


class HandshakeRefused(PeerError):
    """A connect that was not accepted. ``is_final``: the socket is closed after the reply."""

    def __init__(self, code: RpcCode, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.is_final = is_final

    @property
    def why(self) -> str:
        """For the close frame."""
        return "no place left" if self.code is RpcCode.CAPACITY_EXCEEDED else "authentication failed"


class Admission(NamedTuple):
    """A connect that was accepted. ``proved``: by a state that is still good, so that no new one is sent."""

    session: Session
    result: dict[str, Any]
    contexts: list[str]
    is_restored: bool
    proved: bool


class Handshake:
    """Judges ``signalwire.connect``; changes nothing but the table of sessions."""

    def __init__(self, sessions: Sessions, settings: GatewaySettings) -> None:
        self._sessions = sessions
        self._settings = settings
        self._credentials = Credentials(settings.credentials)
        self._failures = FailedConnects(
            settings.failed_connects_max,
            settings.failed_window_s,
            settings.failed_block_s,
            settings.failed_addresses_max,
        )
        self._seal = SealedState(settings.state_key)

    async def admit(self, raw: Mapping[str, Any], address: str = "") -> Admission:
        """Find or make the session. ``address``: where it comes from; empty: this machine.

        Raises:
            HandshakeRefused: with the JSON-RPC code and a sentence.
            offhook.node.store.port.JournalFailure: what the session was answered before cannot be read now.
        """
        params = self._parse(raw)
        self._check_failures(params, address)
        project, token_id = self._authenticate(params, address)
        grant = self._open_state(params)
        session = self._sessions.resumable(params.protocol or "", project, token_id)
        is_restored = session is not None
        if session is None:
            session = self._create(project, token_id)
        await self._sessions.load_replies(session)
        if self._sessions.get(session.protocol) is not session:  # another took its place meanwhile
            is_restored, session = False, self._create(project, token_id)
        proved = is_restored and grant is not None and self._proves(grant, session)
        session.identity = new_identity(self._settings.node_id)
        session.version_major = params.version.major
        session.delivery.wants_acks = params.event_acks is not False
        contexts = [*params.contexts, *params.topics]
        if len(session.contexts.keys() | set(contexts)) > self._settings.contexts_max:
            session.contexts.clear()
        return Admission(session, self._result(session, is_restored), contexts, is_restored, proved)

    def _create(self, project: str, token_id: str) -> Session:
        try:
            return self._sessions.create(project, token_id)
        except NoPlace as full:
            raise HandshakeRefused(RpcCode.CAPACITY_EXCEEDED, str(full), is_final=True) from full

    def _parse(self, raw: Mapping[str, Any]) -> ConnectParams:
        try:
            params = parse_params(ConnectParams, raw)
        except CommandRefused as refused:
            raise HandshakeRefused(RpcCode.INVALID_PARAMS, refused.message) from refused
        version = params.version
        if not 0 <= version.major <= _VERSION_MAJOR_MAX or version.minor != 0:
            raise HandshakeRefused(
                RpcCode.VERSION_INCOMPATIBLE,
                f"this node speaks versions 0.0 to {_VERSION_MAJOR_MAX}.0: send such a `version` (major, minor)",
            )
        if len(params.contexts) + len(params.topics) > self._settings.contexts_max:
            raise HandshakeRefused(
                RpcCode.INVALID_PARAMS, f"at most {self._settings.contexts_max} `contexts` may be subscribed to"
            )
        longest = self._settings.context_max_characters
        if any(len(context) > longest for context in (*params.contexts, *params.topics)):
            raise HandshakeRefused(
                RpcCode.INVALID_PARAMS, f"`contexts` must be names of at most {longest} characters: choose shorter ones"
            )
        return params

    def _check_failures(self, params: ConnectParams, address: str) -> None:
        """Who guesses is not even told when it guessed right; the name of a session is no guess."""
        left_s = self._failures.blocked_for(address, asyncio.get_running_loop().time())
        if left_s and self._sessions.get(params.protocol or "") is None:
            most = self._settings.failed_connects_max
            raise HandshakeRefused(
                RpcCode.CAPACITY_EXCEEDED,
                f"{most} different wrong credentials came from this address: try again in {left_s:.0f} s",
                is_final=True,
            )

    def _authenticate(self, params: ConnectParams, address: str) -> tuple[str, str]:
        given = params.authentication
        if given.project is None or given.token is None:
            raise HandshakeRefused(
                RpcCode.AUTHENTICATION_FAILED,
                "Authentication failed: this node takes `project` and `token` in `authentication`",
                is_final=True,
            )
        token_id = self._credentials.check(given.project, given.token)
        if token_id is None:
            guess = f"{given.project} {given.token}"
            self._failures.failed(address, guess, asyncio.get_running_loop().time())
            raise HandshakeRefused(
                RpcCode.AUTHENTICATION_FAILED,
                "Authentication failed: project or token is wrong; use those that the node was started with",
                is_final=True,
            )
        return given.project, token_id

    def _open_state(self, params: ConnectParams) -> Grant | None:
        if params.authorization_state is None:
            return None
        if not params.protocol:
            raise HandshakeRefused(
                RpcCode.INVALID_PARAMS, "`authorization_state` needs the `protocol` that it belongs to beside it"
            )
        try:
            return self._seal.open(params.authorization_state)
        except StateRefused as refused:
            raise HandshakeRefused(
                RpcCode.NOT_ALLOWED, f"Requester validation failed: `authorization_state` is {refused}"
            ) from refused

    def _proves(self, grant: Grant, session: Session) -> bool:
        is_same = (grant.protocol, grant.project, grant.token_id) == (
            session.protocol,
            session.project,
            session.token_id,
        )
        return is_same and grant.expires_at > self._sessions.clock.now()

    def _result(self, session: Session, is_restored: bool) -> dict[str, Any]:
        result = ConnectResult(
            protocol=session.protocol,
            identity=session.identity,
            authorization={
                "type": "project",
                "project": session.project,
                "project_id": session.project,
                "scopes": ["calling"],
                "signature": signature_of(session.protocol),
            },
            session_restored=is_restored,
            keeps_request_ids_s=self._settings.retention_s,
        )
        return {**dump_params(result), "ice_servers": [], "session_restored": is_restored}

    def state_frame(self, session: Session) -> str:
        """The ``signalwire.authorization.state`` event; not kept, a new connect brings a new one."""
        grant = Grant(
            session.protocol,
            session.project,
            session.token_id,
            self._sessions.clock.latest() + self._settings.authorization_state_s,
        )
        return self.event_frame(session, AUTHORIZATION_STATE, {"authorization_state": self._seal.seal(grant)})

    def event_frame(self, session: Session, event_type: str, params: dict[str, Any]) -> str:
        """An event about the session itself."""
        body = {
            "event_type": event_type,
            "event_channel": session.protocol,
            "timestamp": time.time(),
            "project_id": session.project,
            "space_id": self._settings.space_id,
            "params": msgspec.to_builtins(params),
        }
        return dump_frame(Request(new_event_id(), methods.EVENT, body))
