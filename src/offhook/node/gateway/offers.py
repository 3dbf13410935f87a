"""Finding one client for each inbound call (DESIGN.md, Offers). One task per call, until it is answered or over."""

from __future__ import annotations

import asyncio

import structlog

from offhook.errors import OffhookError
from offhook.node.calls.ports import Client, Controller, OfferedCall, OutgoingEvent, Script
from offhook.node.calls.sip import Status
from offhook.node.gateway.choice import Asked, Choice, Offer
from offhook.node.gateway.events import Outbox
from offhook.node.gateway.ownership import CallEntry, Ownership
from offhook.node.gateway.sessions import Session, Sessions
from offhook.node.gateway.settings import GatewaySettings
from offhook.node.gateway.tasks import Tasks
from offhook.node.store.port import Journal
from offhook.protocol.verbs.state import RECEIVE_EVENT, STATE_EVENT

__all__ = ["Desk"]

log = structlog.get_logger(__name__)


class Desk:
    """Implements ``OfferDesk``.

    Nobody is withdrawn before somebody owns the call: a client that acks late, or is back within the hold, may
    still take it. The first command owns; the others get ``ended``, reason ``cancel``.
    """

    def __init__(
        self,
        sessions: Sessions,
        ownership: Ownership,
        outbox: Outbox,
        journal: Journal,
        settings: GatewaySettings,
        tasks: Tasks,
        project: str,
    ) -> None:
        self._sessions = sessions
        self._ownership = ownership
        self._outbox = outbox
        self._journal = journal
        self._settings = settings
        self._tasks = tasks
        self._project = project
        self._choice = Choice(sessions, ownership, settings)
        self._offers: dict[str, Offer] = {}
        self._turns = 0
        self.is_draining = False
        """New calls are refused with 503."""
        self.retired: set[str] = set()
        """Ids of tokens whose clients are offered nothing."""

    # --- OfferDesk ---

    def offer(self, call: OfferedCall) -> None:
        """See ``OfferDesk``."""
        entry = self._ownership.ensure(call.call_id, self._project)
        if not entry.state:
            entry.state = call.withdrawn_params()  # what a node after a crash can tell of the call
        offer = Offer(call, entry, self._now())
        for session in entry.asked:  # by a node that ran before: they have the call, and a little time
            offer.asked[session] = Asked(offer.began_at, acked_at=offer.began_at)
        call.decided.add_done_callback(lambda _: offer.changed.set())
        self._offers[call.call_id] = offer
        self._tasks.spawn(self._run(offer), f"offer {call.call_id}")

    def passed(self, call_id: str, session: str) -> None:
        """See ``OfferDesk``."""
        entry = self._ownership.get(call_id)
        if entry is None:
            return
        self._ownership.withdraw(entry, session)
        self._retract_from(session, call_id)
        offer = self._offers.get(call_id)
        if offer is not None:
            offer.asked.setdefault(session, Asked(self._now())).has_passed = True
            offer.changed.set()

    def assign(self, call_id: str, controller: Controller) -> None:
        """See ``OfferDesk``."""
        found = self._sessions.get(controller.session) if isinstance(controller, Client) else None
        entry = self._ownership.ensure(call_id, found.project if found is not None else self._project)
        if entry.owner is None:
            self._ownership.assign(entry, controller)

    def forget(self, call_id: str) -> None:
        """See ``OfferDesk``."""
        self._ownership.end(call_id, self._now())
        entry = self._ownership.get(call_id)
        if entry is not None:
            self._retract(entry)
        offer = self._offers.get(call_id)
        if offer is not None:
            offer.changed.set()

    # --- what the gateway tells ---

    def know(self, call_id: str) -> None:
        """A call of a node that ran before goes on: whoever does not control it is refused, also if nobody does."""
        self._ownership.ensure(call_id, self._project)

    def is_offering(self, call_id: str) -> bool:
        """Whether a client is looked for."""
        return call_id in self._offers

    def acked(self, session: Session, call_id: str, event_type: str) -> None:
        """A client has an event; only that of an offer matters here. It is not acceptance."""
        session.is_silent = False
        offer = self._offers.get(call_id) if event_type == RECEIVE_EVENT else None
        if offer is not None and session.protocol in offer.asked and offer.asked[session.protocol].acked_at is None:
            offer.asked[session.protocol].acked_at = self._now()
            offer.changed.set()

    def session_changed(self) -> None:
        """A session came, went or subscribed: every open offer looks again."""
        for offer in self._offers.values():
            offer.changed.set()

    def claimed(self, entry: CallEntry) -> None:
        """The call has its owner: the others lose it, and nobody is offered it again."""
        owner = self._sessions.get(entry.session)
        if owner is not None:
            owner.is_silent = False
        offer = self._offers.get(entry.call_id)
        if offer is None:
            return
        offer.changed.set()
        self._retract(entry)
        for loser in [name for name in entry.asked if name != entry.session]:
            entry.asked.pop(loser)
            offer.asked.pop(loser, None)
            self._outbox.emit(
                OutgoingEvent(STATE_EVENT, offer.call.withdrawn_params(), call_id=entry.call_id, session=loser)
            )

    def _retract(self, entry: CallEntry) -> None:
        """Nobody else was offered it; of who has passed it was taken back then."""
        for session in dict.fromkeys((entry.session, *entry.asked)):
            self._retract_from(session, entry.call_id)

    def _retract_from(self, session: str, call_id: str) -> None:
        found = self._sessions.get(session)
        if found is not None:
            found.delivery.retract(call_id)

    # --- one offer ---

    async def _run(self, offer: Offer) -> None:
        call = offer.call
        try:
            if self.is_draining:
                await call.reject(
                    Status.SERVICE_UNAVAILABLE, "This node is being restarted: call again in a few seconds"
                )
                return
            if not self._journal.is_healthy:
                await call.reject(
                    Status.SERVICE_UNAVAILABLE,
                    f"The journal of this node cannot be written: {self._journal.remedy}",
                )
                return
            while not call.decided.done():
                offer.changed.clear()
                wake_at = await self._step(offer)
                if wake_at is None:
                    return
                await _until(offer.changed, wake_at)
                await call.answering_over()  # nothing changes hands meanwhile; if it is refused the search goes on
        except OffhookError as error:
            log.warning("offer failed", call_id=call.call_id, error=str(error))
        finally:
            del self._offers[call.call_id]

    async def _step(self, offer: Offer) -> float | None:
        """Do what is due and say when to look again at the latest; None: the call was refused."""
        now, settings, call = self._now(), self._settings, offer.call
        ringing_until = offer.began_at + settings.ringing_s
        if now >= ringing_until:
            await call.reject(Status.TEMPORARILY_UNAVAILABLE, f"Nobody took the call within {settings.ringing_s:g} s")
            return None
        if offer.entry.owner is not None:
            return await self._watch_owner(offer, now, ringing_until)
        wakes = [ringing_until]
        deciding = [wake for asked in offer.asked if (wake := self._choice.decides_until(offer, asked)) > now]
        self._choice.note_silent(offer, now)
        thinking = self._choice.thinking(offer)
        if deciding or len(thinking) >= 2:
            offer.held_since = None
        elif (session := self._choice.pick(offer, self.retired)) is not None:
            offer.held_since = None
            self._ask(offer, session)
            wakes.append(now + settings.offer_ack_s)
        elif thinking:
            offer.held_since = None
        else:
            return await self._hold(offer, now)
        wakes += deciding
        wakes.append(await self._alert_later(offer, now))
        return min(wake for wake in wakes if wake > now)

    def _ask(self, offer: Offer, session: Session) -> None:
        self._turns += 1
        session.asked_last = self._turns
        offer.asked[session.protocol] = Asked(self._now())
        self._ownership.ask(offer.entry, session.protocol)
        self._outbox.emit(
            OutgoingEvent(
                RECEIVE_EVENT, offer.call.receive_params(), call_id=offer.call.call_id, session=session.protocol
            )
        )

    async def _hold(self, offer: Offer, now: float) -> float | None:
        """Nobody is there (any more): wait a little for a client, then refuse."""
        context = offer.call.context
        if not self._sessions.was_subscribed(context):
            log.warning("call refused: no client takes calls of its context", context=context)
            await offer.call.reject(
                Status.TEMPORARILY_UNAVAILABLE, f"No client has subscribed to context '{context}': start one that does"
            )
            return None
        if offer.held_since is None:
            offer.held_since = now
        if now >= offer.held_since + self._settings.hold_s:
            log.warning("call refused: its context has clients, but none is connected or free", context=context)
            await offer.call.reject(
                Status.TEMPORARILY_UNAVAILABLE,
                f"No client of context '{context}' took the call: none is connected or free",
            )
            return None
        await self._alert(offer)
        return min(offer.held_since + self._settings.hold_s, offer.began_at + self._settings.ringing_s)

    async def _alert_later(self, offer: Offer, now: float) -> float:
        at = offer.began_at + self._settings.offer_alert_s
        if now < at:
            return at
        await self._alert(offer)
        return now

    async def _alert(self, offer: Offer) -> None:
        if not offer.is_alerted and offer.call.is_open:
            offer.is_alerted = True
            await offer.call.alert()

    async def _watch_owner(self, offer: Offer, now: float, ringing_until: float) -> float:
        """A client that went before it answered gives the call back; it may take it again, if nobody else did."""
        gone_at = self._gone_at(offer.entry, ringing_until)
        if now >= gone_at:
            offer.asked.setdefault(offer.entry.session, Asked(now, acked_at=now))
            self._ownership.release(offer.entry)
            offer.changed.set()
            return now
        alert_at = await self._alert_later(offer, now)
        return min(wake for wake in (ringing_until, gone_at, alert_at) if wake > now)

    def _gone_at(self, entry: CallEntry, ringing_until: float) -> float:
        """When its owner is gone, if it does not come back; a script of this node stays."""
        if isinstance(entry.owner, Script):
            return ringing_until
        session = self._sessions.get(entry.session)
        lost_at = session.lost_at if session is not None else 0.0
        return ringing_until if lost_at is None else lost_at + self._settings.offer_lost_s

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _until(event: asyncio.Event, at: float) -> None:
    try:
        async with asyncio.timeout_at(at):
            await event.wait()
    except TimeoutError:
        return
