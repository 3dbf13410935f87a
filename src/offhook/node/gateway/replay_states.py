"""Where a replay can be, and from where it goes where. The tables of docs/internals/gateway.md are these."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["ATTACHED", "LOADED", "SENDING", "STEPS", "TRANSITIONS", "Cause", "Phase", "State", "Step"]


class State(enum.Enum):
    """Where the delivery of a session's events is."""

    UNREAD = "unread"
    LOADING = "loading"
    AWAY = "away"
    REPLAYING = "replaying"
    LIVE = "live"
    WAITING = "waiting"
    REPEATING = "repeating"
    CLOSED = "closed"


class Cause(enum.Enum):
    """Why it goes on."""

    ATTACHED = "attached"
    ATTACHED_CURRENT = "attached, nothing unacked"
    DETACHED = "detached"
    THROUGH = "all was sent"
    HELD = "all was sent but what is held"
    DUE = "a wait is over"
    GONE = "the session is gone"


TRANSITIONS: Final[Mapping[tuple[State, Cause], State]] = MappingProxyType(
    {
        (State.UNREAD, Cause.ATTACHED): State.LOADING,
        (State.UNREAD, Cause.GONE): State.CLOSED,
        (State.LOADING, Cause.DETACHED): State.UNREAD,
        (State.LOADING, Cause.THROUGH): State.LIVE,
        (State.LOADING, Cause.HELD): State.WAITING,
        (State.LOADING, Cause.GONE): State.CLOSED,
        (State.AWAY, Cause.ATTACHED): State.REPLAYING,
        (State.AWAY, Cause.ATTACHED_CURRENT): State.LIVE,
        (State.AWAY, Cause.GONE): State.CLOSED,
        (State.REPLAYING, Cause.DETACHED): State.AWAY,
        (State.REPLAYING, Cause.THROUGH): State.LIVE,
        (State.REPLAYING, Cause.HELD): State.WAITING,
        (State.REPLAYING, Cause.GONE): State.CLOSED,
        (State.LIVE, Cause.DETACHED): State.AWAY,
        (State.LIVE, Cause.GONE): State.CLOSED,
        (State.WAITING, Cause.DETACHED): State.AWAY,
        (State.WAITING, Cause.DUE): State.REPEATING,
        (State.WAITING, Cause.GONE): State.CLOSED,
        (State.REPEATING, Cause.DETACHED): State.AWAY,
        (State.REPEATING, Cause.THROUGH): State.LIVE,
        (State.REPEATING, Cause.HELD): State.WAITING,
        (State.REPEATING, Cause.GONE): State.CLOSED,
    }
)
"""``CLOSED`` has no row: it is final."""

SENDING: Final = frozenset({State.LIVE, State.WAITING, State.REPEATING})
"""What is journalled goes out at once, but that of a call that is held."""

ATTACHED: Final = SENDING | {State.LOADING, State.REPLAYING}
"""There is a connection."""

LOADED: Final = frozenset(State) - {State.UNREAD, State.LOADING}
"""What an earlier node left is known."""


class Phase(enum.Enum):
    """Where a walk through what is unacked is."""

    ASK = "ask"
    ASKED = "asked"
    SEND = "send"
    FULL = "full"
    RETRY = "retry"
    OVER = "over"


class Step(enum.Enum):
    """Why it goes on."""

    ASKED = "a page was asked for"
    PAGE = "a page came"
    OVERTAKEN = "nothing came, but was delivered meanwhile"
    NOTHING = "nothing came"
    UNREADABLE = "the journal cannot be read"
    SENT = "all of the page was sent"
    FILLED = "so many are unacked"
    ACKED = "fewer are unacked"
    RETRIED = "some time passed"


STEPS: Final[Mapping[tuple[Phase, Step], Phase]] = MappingProxyType(
    {
        (Phase.ASK, Step.ASKED): Phase.ASKED,
        (Phase.ASKED, Step.PAGE): Phase.SEND,
        (Phase.ASKED, Step.OVERTAKEN): Phase.ASK,
        (Phase.ASKED, Step.NOTHING): Phase.OVER,
        (Phase.ASKED, Step.UNREADABLE): Phase.RETRY,
        (Phase.SEND, Step.SENT): Phase.ASK,
        (Phase.SEND, Step.FILLED): Phase.FULL,
        (Phase.FULL, Step.ACKED): Phase.ASK,
        (Phase.RETRY, Step.RETRIED): Phase.ASK,
    }
)
"""``OVER`` has no row: it is final."""
