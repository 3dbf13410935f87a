"""The gateway: RELAY clients on one port, with other HTTP routes beside. Everything else here hangs from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import structlog
from aiohttp import web

from offhook.node.calls.ports import CommandRunner, OutgoingEvent, PastEnd
from offhook.node.gateway.auth import token_id_of
from offhook.node.gateway.commands import Commands
from offhook.node.gateway.connection import Connection
from offhook.node.gateway.dispatcher import Dispatcher
from offhook.node.gateway.events import Outbox
from offhook.node.gateway.handshake import Handshake
from offhook.node.gateway.offers import Desk
from offhook.node.gateway.orphans import Orphans
from offhook.node.gateway.ownership import CallEntry, Ownership
from offhook.node.gateway.sessions import Session, Sessions
from offhook.node.gateway.settings import GatewaySettings
from offhook.node.gateway.tasks import Tasks
from offhook.node.gateway.watch import listen_for
from offhook.node.store.port import Journal, OpenControl, Recovered
from offhook.protocol.verbs import spec_of
from offhook.protocol.verbs.state import STATE_EVENT

__all__ = ["Gateway"]

log = structlog.get_logger(__name__)
_LAST_EVENTS_S = 1.0
_NO_ENDS: Mapping[str, PastEnd] = MappingProxyType({})


class Visit(Protocol):
    """A connection as the door sees it, which bounds strangers: ``request.protocol.visitor``, where there is a door."""

    address: str
    """By which shares are counted; empty: this machine."""
    refuse: Callable[[str], None] | None
    """Says why, and closes; called when it sends more than it may."""

    def admit(self) -> None:
        """It is no stranger any more."""
        ...


class Gateway:
    """RELAY in and out. ``start``, then ``routes`` on an aiohttp application, then ``recover`` once calls are adopted.

    ``outbox`` is the ``EventSink``, ``desk`` the ``OfferDesk``; the runner comes later (``use_runner``), because it
    needs both.
    """

    def __init__(self, settings: GatewaySettings, journal: Journal) -> None:
        self._settings = settings
        self._journal = journal
        self._tasks = Tasks()
        self._sessions = Sessions(journal, settings, self._tasks)
        self._ownership = Ownership(journal)
        self.outbox = Outbox(journal, self._sessions, self._ownership, settings)
        """Implements ``EventSink``."""
        project = settings.credentials[0].project
        self.desk = Desk(self._sessions, self._ownership, self.outbox, journal, settings, self._tasks, project)
        """Implements ``OfferDesk``."""
        self._handshake = Handshake(self._sessions, settings)
        self._commands: Commands | None = None
        self._connections: set[Connection] = set()
        self._recovered: Recovered | None = None
        self._is_draining = False
        self.on_subscribed: Callable[[str], None] = lambda _token_id: None
        """Called with the id of a session's token (``token_id_of``) whenever it would take calls."""
        self._sessions.is_needed = self._is_needed
        self._sessions.on_change = self._session_changed
        self._sessions.on_event_ack = self.desk.acked
        self._orphans = Orphans(self._sessions, self._ownership, self.desk, settings, self._tasks)
        self._ownership.on_claim = self._claimed

    def use_runner(self, runner: CommandRunner, overload: Callable[[], str] = lambda: "") -> None:
        """Name who runs commands; before that, sockets are refused with 503.

        ``overload`` says why no call is placed at the moment (a sentence), or nothing.
        """
        self._orphans.runner = runner
        self._commands = Commands(
            runner, self.outbox, self._ownership, self._journal, self._settings, self._tasks, self._sessions.clock
        )
        self._commands.overload = overload

    async def start(self) -> Recovered:
        """Open the journal and take up sessions and calls that an earlier node left.

        Raises:
            offhook.node.store.port.JournalFailure: the journal cannot be opened; says what to do.
        """
        recovered = self._recovered = await self._journal.start()
        self._sessions.restore(recovered.sessions)
        controls = _by_call(recovered.controls)
        for call in recovered.calls:
            self._ownership.restore(call)
            self.outbox.recover(call.call_id, controls.get(call.call_id, []))
        self.outbox.dials.restore(recovered.controls)
        for session in self._sessions:
            self._session_changed(session)
        self._tasks.spawn(self._sweep(), "sweep")
        return recovered

    def recover(
        self,
        adopted: Collection[str],
        past: Mapping[str, PastEnd] = _NO_ENDS,
        dialling: Collection[tuple[str, str]] = (),
    ) -> None:
        """End what the crash took: calls that are not among ``adopted`` (call ids), their verbs before them.

        ``past`` tells of those that had ended meanwhile how they did; the others end ``error``, ``node_failure``.
        ``dialling``: sessions and tags of the dials that go on; the others fail.

        Verbs of adopted calls are for whoever adopted them to end (``OutgoingEvent`` with ``error``).
        """
        recovered, self._recovered = self._recovered, None
        if recovered is None:
            return
        for call_id in adopted:
            self.desk.know(call_id)
        self._orphans.adopted(list(adopted))
        controls = _by_call(recovered.controls)
        for call in recovered.calls:
            if call.call_id in adopted:
                continue
            node_id = str(call.state.get("node_id", self._settings.node_id))
            for control in controls.get(call.call_id, []):
                spec = spec_of(control.method)
                if not control.is_closed and spec is not None:
                    address = {"node_id": node_id, "call_id": call.call_id, "control_id": control.control_id}
                    for event_type, params in spec.lost_events(address):
                        self.outbox.emit(OutgoingEvent(event_type, params, call_id=call.call_id, durable=True))
            self._end_lost(call.call_id, call.state, past.get(call.call_id) or _failure())
        for event in self.outbox.dials.lost(dialling, self._settings.node_id):
            self.outbox.emit(event)

    def _is_needed(self, session: Session) -> bool:
        return bool(self._ownership.controlled_by(session.protocol)) or self.outbox.dials.has_any_of(session.protocol)

    def _end_lost(self, call_id: str, state: dict[str, Any], end: PastEnd) -> None:
        for event in end.events:
            self.outbox.emit(event)
        if state:
            params = {**state, "call_state": "ended", **end.params}
            self.outbox.emit(OutgoingEvent(STATE_EVENT, params, call_id=call_id, durable=True))
        self.desk.forget(call_id)

    # --- HTTP ---

    def routes(self) -> list[web.RouteDef]:
        """The WebSocket at ``/`` (relay-protocol 1.1: no path)."""
        return [web.get("/", self._serve)]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self._settings.allowed_origins:
            return web.Response(status=403, text="This Origin may not connect: list it in relay.origins\n")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(status=426, text="RELAY speaks WebSocket here\n", headers={"Upgrade": "websocket"})
        if self._is_draining or self._commands is None:
            return web.Response(
                status=503, text="The node is starting or ending: try again\n", headers={"Retry-After": "1"}
            )
        socket = web.WebSocketResponse(
            max_msg_size=self._settings.frame_max_bytes,
            compress=False,
            autoping=False,
            timeout=self._settings.disconnect_timeout_s,
        )
        await socket.prepare(request)
        connection = Connection(socket, request.transport, self._settings)
        dispatcher = Dispatcher(
            connection, self._sessions, self._handshake, self._commands, self._settings, self._tasks
        )
        visit: Visit | None = getattr(request.protocol, "visitor", None)
        if visit is not None:
            visit.refuse = connection.close_after_reply
            dispatcher.on_admitted = visit.admit
            dispatcher.address = visit.address
        await self._converse(connection, dispatcher)
        return socket

    async def _converse(self, connection: Connection, dispatcher: Dispatcher) -> None:
        self._connections.add(connection)
        connection.is_authenticated = lambda: dispatcher.session is not None
        patience = self._tasks.spawn(self._await_connect(connection), "await connect")
        try:
            await connection.serve(dispatcher.receive, dispatcher.receive_control)
        finally:
            patience.cancel()
            self._connections.discard(connection)
            if dispatcher.session is not None:
                self._sessions.disconnected(dispatcher.session, connection)

    async def _await_connect(self, connection: Connection) -> None:
        if not await listen_for(self._settings.connect_timeout_s, connection.is_authenticated):
            connection.close_after_reply("signalwire.connect did not come in time")

    # --- tokens ---

    def retire(self, token: str) -> None:
        """Offer no more calls to clients that connected with this token; those they have go on."""
        self.desk.retired.add(token_id_of(token))

    def readmit(self, token: str) -> None:
        """Offer calls to clients of this token again."""
        self.desk.retired.discard(token_id_of(token))
        self.desk.session_changed()

    def is_retired(self, token: str) -> bool:
        """Whether ``retire`` was the last said of this token."""
        return token_id_of(token) in self.desk.retired

    def calls_of(self, token: str) -> int:
        """How many calls the clients of this token control or are offered."""
        token_id = token_id_of(token)
        return sum(
            self._ownership.load_of(session.protocol) for session in self._sessions if session.token_id == token_id
        )

    def _claimed(self, entry: CallEntry) -> None:
        self.desk.claimed(entry)
        self._orphans.claimed(entry)

    def _session_changed(self, session: Session) -> None:
        self.desk.session_changed()
        if session.is_connected and session.contexts:
            self.on_subscribed(session.token_id)
        self._orphans.session_changed(session)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._settings.sweep_s)
            self._sessions.sweep()
            self._ownership.sweep(loop.time() - self._settings.retention_s)

    # --- the end ---

    def refuse_new_calls(self) -> None:
        """Drain, first step: no new call in or out; clients stay."""
        self.desk.is_draining = True
        if self._commands is not None:
            self._commands.is_draining = True

    async def drain(self, *, restart: bool = False) -> None:
        """Drain, last step: ``signalwire.disconnect`` to every client; their replies are awaited shortly."""
        self.refuse_new_calls()
        self._is_draining = True
        await _wait_all(connection.disconnect(restart=restart) for connection in list(self._connections))

    async def close(self) -> None:
        """Drain if that was not done, end all tasks, close the journal."""
        try:
            async with asyncio.timeout(_LAST_EVENTS_S):  # those of calls that ended just now leave before the goodbye
                await self.outbox.journalled()
        except TimeoutError:
            log.warning("last events are not journalled")
        await self.drain()
        await self._tasks.close()
        await self._journal.close()


async def _wait_all(ends: Iterable[asyncio.Task[None]]) -> None:
    waiting = list(ends)
    if waiting:
        await asyncio.wait(waiting)


def _by_call(controls: Iterable[OpenControl]) -> dict[str, list[OpenControl]]:
    found: dict[str, list[OpenControl]] = {}
    for control in controls:
        found.setdefault(control.call_id, []).append(control)
    return found


def _failure() -> PastEnd:
    """Of a call that nobody knows any more."""
    end_time = int(time.time() * 1000)
    return PastEnd({"end_reason": "error", "end_source": "none", "end_detail": "node_failure", "end_time": end_time})
