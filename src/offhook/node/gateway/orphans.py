"""Calls whose client is gone for good: nobody else is called for it, and what it controls is hung up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from offhook.errors import OffhookError
from offhook.node.calls.ports import Client, CommandRunner, Script
from offhook.node.gateway.offers import Desk
from offhook.node.gateway.ownership import CallEntry, Ownership
from offhook.node.gateway.sessions import Session, Sessions
from offhook.node.gateway.settings import GatewaySettings
from offhook.node.gateway.tasks import Tasks

__all__ = ["Orphans"]

log = structlog.get_logger(__name__)


class Orphans:
    """A client that was away for ``orphan_s`` is gone; so is, then, one that a node after a crash never heard of."""

    def __init__(
        self, sessions: Sessions, ownership: Ownership, desk: Desk, settings: GatewaySettings, tasks: Tasks
    ) -> None:
        self._sessions = sessions
        self._ownership = ownership
        self._desk = desk
        self._settings = settings
        self._tasks = tasks
        self.runner: CommandRunner | None = None
        """Who ends calls, and what is dialled; it comes later."""

    def session_changed(self, session: Session) -> None:
        """It came, went or subscribed."""
        if session.lost_at is not None:
            loop = asyncio.get_running_loop()
            loop.call_at(session.lost_at + self._settings.orphan_s, self._check_orphans, session, session.lost_at)

    def adopted(self, call_ids: Iterable[str]) -> None:
        """These go on from a node that ran before."""
        asyncio.get_running_loop().call_later(self._settings.orphan_s, self._check_adopted, call_ids)

    def _check_orphans(self, session: Session, lost_at: float) -> None:
        if session.lost_at != lost_at:
            return
        if self.runner is not None:
            away_s = self._settings.orphan_s
            self.runner.abandon(session.protocol, f"The client that dialled was away for {away_s:g} s: dial again")
        for entry in self._ownership.controlled_by(session.protocol):
            self._tasks.spawn(self._hang_up(entry), "orphan")

    def claimed(self, entry: CallEntry) -> None:
        """The call has its owner now; a client that is gone for good was looked at before."""
        owner = self._sessions.get(entry.session)
        if owner is not None and self._is_gone(owner):
            self._tasks.spawn(self._hang_up(entry), "orphan")

    def _is_gone(self, session: Session) -> bool:
        now = asyncio.get_running_loop().time()
        return session.lost_at is not None and now >= session.lost_at + self._settings.orphan_s

    def _check_adopted(self, call_ids: Iterable[str]) -> None:
        """Calls of a node that ran before, whose owner this one never heard of (a journal that was lost)."""
        for entry in filter(None, map(self._ownership.get, call_ids)):
            has_owner = isinstance(entry.owner, Script) or self._sessions.get(entry.session) is not None
            if not has_owner and not self._desk.is_offering(entry.call_id) and entry.over_at is None:
                self._tasks.spawn(self._hang_up(entry), "orphan")

    async def _hang_up(self, entry: CallEntry) -> None:
        if self.runner is None:
            return
        log.warning("call has no client any more", call_id=entry.call_id)
        params = {
            "node_id": entry.state.get("node_id", self._settings.node_id),
            "call_id": entry.call_id,
            "reason": "hangup",
        }
        try:
            await self.runner.run("calling.end", params, Client(entry.session))
        except OffhookError as error:  # it ended meanwhile, or its engine is gone and it will
            log.info("orphan not hung up", call_id=entry.call_id, reason=str(error))
