"""The client: one session with a node, the calls on it, and the handlers of the app."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from offhook._version import __version__
from offhook.client.app.leaving import AT_MOST_S, HANDLERS, Leaving
from offhook.client.app.link import Driver, Link
from offhook.client.app.serving import serve
from offhook.client.app.settings import check_texts, read_settings
from offhook.client.app.typed_events import TypedClientEvents
from offhook.client.calls.call import Call
from offhook.client.calls.calls import CallHandler, Calls
from offhook.client.calls.messages import MessageHandler, Messages
from offhook.client.events import MessageEvent, RelayEvent
from offhook.client.listening.handlers import Handlers
from offhook.client.listening.tasks import Tasks
from offhook.client.session.outputs import Output
from offhook.client.session.session import Session, SessionSettings
from offhook.client.verbs.dial import DialVerb
from offhook.client.verbs.send_message import SendMessageVerb
from offhook.client.words.compose import numbered_ids
from offhook.errors import ConnectionLost, RelayError
from offhook.protocol import methods

if TYPE_CHECKING:
    from offhook.client.transport.recording import SessionRecorder

__all__ = ["RelayClient"]

H = TypeVar("H", bound=CallHandler)
M = TypeVar("M", bound=MessageHandler)

_AGENT: Final = f"offhook-python/{__version__}"


class RelayClient(DialVerb, SendMessageVerb, TypedClientEvents):
    """A client of a RELAY node.

        client = RelayClient(contexts=["default"])

        @client.on_call
        async def answer(call):
            await call.answer()

        client.run()

    Args:
        project: project id, else ``OFFHOOK_PROJECT_ID`` or ``SIGNALWIRE_PROJECT_ID``.
        token: API token, else ``OFFHOOK_API_TOKEN`` or ``SIGNALWIRE_API_TOKEN``.
        host: ``name`` or ``name:port``, else ``OFFHOOK_SPACE`` or ``SIGNALWIRE_SPACE``.
        contexts: whose inbound calls to take.
        jwt_token: instead of project and token, else ``OFFHOOK_JWT_TOKEN`` or ``SIGNALWIRE_JWT_TOKEN``.
        max_active_calls: inbound calls beyond are passed on; else ``OFFHOOK_MAX_ACTIVE_CALLS`` or
            ``RELAY_MAX_ACTIVE_CALLS``, else 1000.
        ca_file: PEM file of the authorities to trust, else ``OFFHOOK_RELAY_CA_FILE`` or ``SIGNALWIRE_RELAY_CA_FILE``.
        request_timeout: seconds that a request may wait for its reply, counted from sending; within them, one that
            the server has no room for (-32005) is sent again. For a connection a request waits 120 s at most.
        drain_timeout: seconds that ``run`` lets handlers and callbacks finish after SIGINT or SIGTERM; a second signal
            ends at once. ``disconnect`` takes at most 5 of them.
        record_session: file to write every frame to, secrets masked (see ``offhook.client.transport.recording``).

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """

    def __init__(
        self,
        project: str | None = None,
        token: str | None = None,
        host: str | None = None,
        contexts: Sequence[str] | None = None,
        *,
        jwt_token: str | None = None,
        max_active_calls: int | None = None,
        ca_file: str | None = None,
        request_timeout: float = 10.0,
        drain_timeout: float = 30.0,
        record_session: str | os.PathLike[str] | None = None,
    ) -> None:
        self._settings = read_settings(
            os.environ,
            project=project,
            token=token,
            jwt_token=jwt_token,
            host=host,
            ca_file=ca_file,
            max_active_calls=max_active_calls,
        )
        self._request_timeout_s = request_timeout
        self._drain_timeout_s = drain_timeout
        self._contexts = list(dict.fromkeys(contexts or ()))
        check_texts("contexts", self._contexts)
        self._tasks = Tasks()
        TypedClientEvents.__init__(self, Handlers(self._tasks))
        self._calls = Calls(self._tasks, self._execute, self._settings.max_active_calls)
        self._messages = Messages(self._tasks, self._execute)
        self._record_path = None if record_session is None else os.fspath(record_session)
        self._recorder: SessionRecorder | None = None
        self._link: Link | None = None
        self._leaving: Leaving | None = None

    def __repr__(self) -> str:
        state = self._link.session.state.value if self._link is not None else "idle"
        return f"RelayClient(url={self._settings.url!r}, state={state!r}, calls={len(self._calls.live)})"

    @property
    def project(self) -> str | None:
        """Project id."""
        return self._settings.authentication.project

    @property
    def contexts(self) -> list[str]:
        """Contexts whose calls we take."""
        return list(self._contexts)

    @property
    def calls(self) -> list[Call]:
        """Calls that are not over."""
        return list(self._calls.live.values())

    @property
    def is_connected(self) -> bool:
        """Authenticated, and the socket is open."""
        return self._link is not None and self._link.is_ready

    # --- life -----------------------------------------------------------------------------------------------

    def on_call(self, handler: H) -> H:
        """Have a coroutine function called, as a task of its own, with each inbound call. Usually a decorator.

        Args:
            handler: gets the Call. Its failures are logged with the call's id, and leave other calls alone.
        """
        self._calls.handler = handler
        return handler

    def on_message(self, handler: M) -> M:
        """Have a coroutine function called, as a task of its own, with each inbound message. Usually a decorator.

        Args:
            handler: gets the Message. Its failures are logged with the message's id.
        """
        self._messages.handler = handler
        return handler

    async def connect(self) -> None:
        """Connect and authenticate. Afterwards the client reconnects by itself until ``disconnect``.

        Raises:
            RelayError: the server refused us three times; its message.
            ConfigurationError: the CA file cannot be read, or the recording cannot be written.
        """
        if self._link is not None:
            raise RuntimeError("the client is connected already; disconnect() first")
        settings = SessionSettings(
            authentication=self._settings.authentication,
            agent=_AGENT,
            contexts=tuple(self._contexts),
            request_timeout_s=self._request_timeout_s,
        )
        self._tasks.is_leaving = False
        session = Session(settings, random=random.random, new_id=numbered_ids())
        self._link = Link(
            session,
            self._make_driver,
            on_event=self._dispatch,
            on_connected=self._connected,
            on_lapsed=self._session_lost,
            on_truncated=self._calls.truncated,
        )
        self._link.stopped.add_done_callback(self._refused)
        self._link.open()
        try:
            await asyncio.shield(self._link.ready)
        except BaseException:
            await self.disconnect()
            raise

    def _make_driver(self, session: Session, on_output: Callable[[Output], None]) -> Driver:
        # Here, since picows and its kin take half of the time that it takes to import all of this.
        from offhook.client.transport.connection import Connection, make_tls_context
        from offhook.client.transport.recording import open_recorder

        tls = make_tls_context(self._settings.ca_file) if self._settings.url.startswith("wss://") else None
        if self._record_path is not None:
            self._recorder = open_recorder(self._record_path, _AGENT, asyncio.get_running_loop().time)
        return Connection(session, self._settings.url, tls, on_output, self._recorder)

    async def disconnect(self, drain_timeout: float | None = None) -> None:
        """Close the connection, and let what runs finish first, for a time.

        Callbacks that run (``on_completed``, ``on``) may go on with their calls. Then open actions, waits and dials
        end with cause ``closed``, and call their callbacks; nothing is sent any more. Callbacks and handlers have the
        rest of the time; what runs then is cancelled, and named in the log. A task that waits here may be cancelled:
        the client leaves at once. Handlers and callbacks may call this: nobody waits for the one that does.

        Args:
            drain_timeout: seconds for all of that, of which one (or half) is kept for after the end of the calls;
                default what the client was given, at most 5. 0 waits for nobody.
        """
        if self._link is None:
            return
        if self._leaving is not None:
            if not self._tasks.is_asking:  # else the one who leaves waits for us
                await self._leaving.gone.wait()
            return
        within_s = min(self._drain_timeout_s, AT_MOST_S) if drain_timeout is None else drain_timeout
        self._leaving = Leaving(self._link, self._calls, self._messages, self._tasks)
        try:
            await self._leaving.run(within_s)
        finally:
            self._link = self._leaving = None
            if self._recorder is not None:
                self._recorder.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    def run(self) -> None:
        """Connect and serve calls until SIGINT or SIGTERM; then take no more calls, let what runs finish, and leave.

        Handlers have ``drain_timeout``, callbacks what these leave of it, at least a second; a node that is away or
        silent is not waited for. A second signal ends at once, a third does what it does to any program. What is
        cancelled is named in the log.

        Raises:
            RelayError: the server refused us.
        """
        asyncio.run(serve(self, self._drain_timeout_s))

    @property
    def handling(self) -> list[asyncio.Task[None]]:
        """Handlers of inbound calls and messages that run."""
        return self._tasks.running(HANDLERS)

    @property
    def stopped(self) -> asyncio.Future[RelayError | None]:
        """Ends with the server's error when it refuses this client for good, with None when it is closed.

        Raises:
            RuntimeError: the client is not connected.
        """
        if self._link is None:
            raise RuntimeError("the client is not connected; connect() first")
        return self._link.stopped

    # --- requests -------------------------------------------------------------------------------------------

    async def execute(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send any request and return the whole result.

        While the connection is away it is queued, for 120 s at most. Cancelling leaves one that was sent to its fate.

        Args:
            method: such as ``calling.answer``.
            params: sent as they are.

        Raises:
            RelayError: refused (its code), no reply, or the connection is gone for good (-1).
            CallerError: ``params`` have what cannot be sent (half a character, NaN); says where. Nothing was sent.
        """
        return await self._execute(method, params)

    def _execute(self, method: str, params: Mapping[str, Any]) -> Coroutine[Any, Any, dict[str, Any]]:
        if self._link is None:
            raise ConnectionLost(f"{method}: the client is not connected; connect() first", was_sent=False)
        return self._link.execute(method, params)

    async def receive(self, contexts: Sequence[str]) -> dict[str, Any]:
        """Take inbound calls of more contexts, also after a reconnect.

        Args:
            contexts: their names; an empty list does nothing.
        """
        return await self._subscribe(methods.RECEIVE, contexts)

    async def unreceive(self, contexts: Sequence[str]) -> dict[str, Any]:
        """Take no more inbound calls of some contexts.

        Args:
            contexts: their names; an empty list does nothing.
        """
        return await self._subscribe(methods.UNRECEIVE, contexts)

    async def stop_receiving(self) -> None:
        """Take no more calls: what is offered from now on is passed on. For programs that leave; see ``run``."""
        self._tasks.is_leaving = True
        await self.unreceive(self._contexts)

    async def _subscribe(self, method: str, contexts: Sequence[str]) -> dict[str, Any]:
        wanted = list(dict.fromkeys(contexts))
        if not wanted:
            return {}
        result = await self.execute(method, {"contexts": wanted})
        kept = [context for context in self._contexts if context not in wanted]
        self._contexts = kept + wanted if method == methods.RECEIVE else kept
        if self._link is not None:
            self._link.session.contexts = list(self._contexts)
        return result

    # --- what the session says ------------------------------------------------------------------------------

    def _dispatch(self, event: RelayEvent) -> None:
        if isinstance(event, MessageEvent):
            self._messages.dispatch(event)
        else:
            self._calls.dispatch(event)
        if self._handlers.by_type:
            self._handlers.tell(event)

    def _connected(self, resumed: bool, again: bool) -> None:
        """If it is into another session, what the last one would have told is lost."""
        if self._link is not None and self._link.session.protocol is not None:
            self._messages.own_context = self._link.session.protocol
        if again and not resumed:
            self._session_lost()

    def _session_lost(self) -> None:
        self._calls.lose()
        self._messages.end("gone", frozenset(self._contexts))

    def _refused(self, stopped: asyncio.Future[RelayError | None]) -> None:
        error = stopped.result()
        if error is not None:
            self._calls.dials.fail_all(error)
