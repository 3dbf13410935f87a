"""How many connections this process can hold, and what is held back of its file descriptors for what must go on."""

from __future__ import annotations

import resource
from typing import NamedTuple

from offhook.node.web.crowd import CrowdLimits

__all__ = ["HELD_BACK", "Places", "places", "raise_limit"]

HELD_BACK = 256
"""For journal, prompts, fetches (two each), the worker that speaks, its restart, and the control socket."""
_WANTED = 65536
_PATIENCE_S = 0.75
"""A client that is far away takes as long, with four round trips."""


class Places(NamedTuple):
    """How many connections of each kind."""

    crowd: CrowdLimits
    sessions: int


def raise_limit() -> int:
    """Raise the soft limit of descriptors as far as is of use (the hard one, 65,536); returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return _WANTED if soft == resource.RLIM_INFINITY else soft


def places(descriptors: int, sessions: int, crowd: CrowdLimits) -> Places:
    """Share out what is not held back: a third to strangers at most, an eighth to downloads, the rest to sessions.

    Fewer strangers have less time each before they go for others: newcomers are taken at the same rate.
    """
    free = max(descriptors - HELD_BACK, descriptors // 2)
    strangers = max(1, min(crowd.strangers, free // 3))
    guests = max(1, min(crowd.guests, free // 8))
    shared = CrowdLimits(
        strangers=strangers,
        strangers_per_address=min(crowd.strangers_per_address, strangers),
        patience_s=max(min(_PATIENCE_S, crowd.patience_s), crowd.patience_s * strangers / crowd.strangers),
        guests=guests,
        guests_per_address=min(crowd.guests_per_address, guests),
    )
    return Places(shared, max(1, min(sessions, free - strangers - guests)))
