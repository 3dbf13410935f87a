"""Where a session can be, and from where it goes where."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from offhook.protocol.frames import Authentication

__all__ = ["TRANSITIONS", "SessionSettings", "State"]


_MIN_SECRET: Final = 6
"""Shorter ones are words."""

_MAX_TEXT: Final = 2_000


class State(enum.Enum):
    """Where the session is."""

    IDLE = "idle"
    OPENING = "opening"
    AUTHENTICATING = "authenticating"
    READY = "ready"
    DRAINING = "draining"
    WAITING = "waiting"
    CLOSED = "closed"


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = MappingProxyType(
    {
        State.IDLE: frozenset({State.OPENING, State.CLOSED}),
        State.OPENING: frozenset({State.AUTHENTICATING, State.WAITING, State.CLOSED}),
        State.AUTHENTICATING: frozenset({State.READY, State.DRAINING, State.WAITING, State.CLOSED}),
        State.READY: frozenset({State.DRAINING, State.WAITING, State.CLOSED}),
        State.DRAINING: frozenset({State.WAITING, State.CLOSED}),
        State.WAITING: frozenset({State.OPENING, State.CLOSED}),
        State.CLOSED: frozenset(),
    }
)


class SessionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are, and every limit of the session. Times are seconds.

    ``request_timeout_s`` counts from sending, not while queued. ``quiet_s`` without a frame: we ping;
    ``silence_s`` without one: the peer is dead. ``queue_timeout_s``: how long a request waits for a connection;
    ``away_s``: after so long without one nothing may wait for the session's events. ``retry_min_s``,
    ``retry_max_s``: how long to wait before a request that was refused with -32005 is sent again.
    """

    authentication: Authentication
    agent: str
    contexts: tuple[str, ...] = ()
    request_timeout_s: float = 10.0
    connect_timeout_s: float = 10.0
    quiet_s: float = 8.0
    silence_s: float = 18.0
    drain_timeout_s: float = 5.0
    backoff_min_s: float = 1.0
    backoff_max_s: float = 30.0
    retry_min_s: float = 0.2
    retry_max_s: float = 2.0
    queue_timeout_s: float = 120.0
    away_s: float = 600.0
    max_queued: int = 500
    max_refusals: int = 3

    def mask(self, text: str) -> str:
        """A text of the server's as it may stand in errors and logs: short, and without our own secrets."""
        for secret in (self.authentication.token, self.authentication.jwt_token):
            if secret and len(secret) >= _MIN_SECRET:
                text = text.replace(secret, "***")
        return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."
