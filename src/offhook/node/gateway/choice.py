"""Which client an inbound call is offered to next, and how long those that have it may think."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from dataclasses import dataclass, field

from offhook.node.calls.ports import OfferedCall
from offhook.node.gateway.ownership import CallEntry, Ownership
from offhook.node.gateway.sessions import Session, Sessions
from offhook.node.gateway.settings import GatewaySettings

__all__ = ["Asked", "Choice", "Offer"]


@dataclass
class Asked:
    """One session that was offered the call. Times are of the loop."""

    at: float
    acked_at: float | None = None
    has_passed: bool = False
    is_noted: bool = False
    """As one that let it go by."""


@dataclass
class Offer:
    """One call that looks for its client."""

    call: OfferedCall
    entry: CallEntry
    began_at: float
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    asked: dict[str, Asked] = field(default_factory=dict)
    held_since: float | None = None
    is_alerted: bool = False


class Choice:
    """It looks, and sends nothing."""

    def __init__(self, sessions: Sessions, ownership: Ownership, settings: GatewaySettings) -> None:
        self._sessions = sessions
        self._ownership = ownership
        self._settings = settings

    def decides_until(self, offer: Offer, name: str) -> float:
        """Until when to wait for this session before asking another."""
        asked, session, settings = offer.asked[name], self._sessions.get(name), self._settings
        if asked.has_passed or session is None:
            return 0.0
        until = asked.at + settings.offer_ack_s if asked.acked_at is None else asked.acked_at + settings.offer_command_s
        if session.lost_at is not None:
            until = min(until, session.lost_at + settings.offer_lost_s)
        return until

    def note_silent(self, offer: Offer, now: float) -> None:
        """Who lets an offer go by without an ack stands last: else the dead one, never busy, would be asked first."""
        for name, asked in offer.asked.items():
            session = self._sessions.get(name)
            has_let_go = (
                asked.acked_at is None and not asked.has_passed and now >= asked.at + self._settings.offer_ack_s
            )
            if has_let_go and session is not None and session.is_connected and not asked.is_noted:
                asked.is_noted = True
                session.is_silent = True

    def thinking(self, offer: Offer) -> list[str]:
        """Sessions that have the call and have not said anything yet."""
        return [
            name
            for name, asked in offer.asked.items()
            if asked.acked_at is not None
            and not asked.has_passed
            and (session := self._sessions.get(name)) is not None
            and session.is_connected
        ]

    def pick(self, offer: Offer, retired: Container[str]) -> Session | None:
        """Of those not asked yet the least loaded, of equals the one asked longest ago; silent ones last.

        ``retired``: ids of tokens whose clients are offered nothing.
        """
        context, project = offer.call.context, offer.entry.project
        found = [
            session
            for session in self._sessions
            if session.is_connected
            and session.project == project
            and context in session.contexts
            and session.protocol not in offer.asked
            and session.token_id not in retired
        ]
        if not found:
            return None
        return min(
            found,
            key=lambda session: (session.is_silent, self._ownership.load_of(session.protocol), session.asked_last),
        )
