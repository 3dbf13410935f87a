"""The client: one session with a node, the calls on it, and the handlers of the app."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self, TypeVar

from offhook._version import __version__
from offhook.client import outputs
from offhook.client.base import compose, new_id
from offhook.client.call import Call
from offhook.client.calls import CallHandler, Calls
from offhook.client.connection import Connection, make_tls_context
from offhook.client.events import MessageEvent, RelayEvent, parse_event
from offhook.client.messages import Message, MessageHandler, Messages
from offhook.client.outputs import Output
from offhook.client.session import Session, SessionSettings, State
from offhook.client.settings import read_settings
from offhook.client.shapes import Device
from offhook.client.tasks import Handler, Tasks
from offhook.errors import CallerError, ConnectionLost, DialFailed, RelayError
from offhook.protocol import codes, methods
from offhook.protocol.messaging import SendMessage
from offhook.protocol.verbs import dial

__all__ = ["RelayClient"]

log = logging.getLogger("offhook.client")

H = TypeVar("H", bound=CallHandler)
M = TypeVar("M", bound=MessageHandler)

_AGENT: Final = f"offhook-python/{__version__}"


class RelayClient:
    """A client of a RELAY node.

        client = RelayClient(contexts=["default"])

        @client.on_call
        async def answer(call):
            await call.answer()

        client.run()

    Args:
        project: project id, else OFFHOOK_PROJECT_ID or SIGNALWIRE_PROJECT_ID.
        token: API token, else OFFHOOK_API_TOKEN or SIGNALWIRE_API_TOKEN.
        host: ``name`` or ``name:port``, else OFFHOOK_SPACE or SIGNALWIRE_SPACE.
        contexts: whose inbound calls to take.
        jwt_token: instead of project and token, else OFFHOOK_JWT_TOKEN or SIGNALWIRE_JWT_TOKEN.
        max_active_calls: inbound calls beyond are passed on; else RELAY_MAX_ACTIVE_CALLS, else 1000.
        ca_file: PEM file of the authorities to trust, else OFFHOOK_RELAY_CA_FILE or SIGNALWIRE_RELAY_CA_FILE.
        request_timeout: seconds that a request may wait for its reply, counted from sending.
        drain_timeout: seconds that ``run`` lets handlers finish after SIGINT or SIGTERM; a second signal ends at once.

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
        self._tasks = Tasks()
        self._calls = Calls(self._tasks, self.execute, self._settings.max_active_calls)
        self._messages = Messages(self._tasks)
        self._session: Session | None = None
        self._connection: Connection | None = None
        self._running: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._stopped: asyncio.Future[RelayError | None] | None = None
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}

    def __repr__(self) -> str:
        state = self._session.state.value if self._session is not None else "idle"
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
        return self._session is not None and self._session.state is State.READY

    # --- life -----------------------------------------------------------------------------------------------

    def on_call(self, handler: H) -> H:
        """Have a coroutine function called, as a task of its own, with each inbound call."""
        self._calls.handler = handler
        return handler

    def on_message(self, handler: M) -> M:
        """Have a coroutine function called, as a task of its own, with each inbound Message."""
        self._messages.handler = handler
        return handler

    async def connect(self) -> None:
        """Connect and authenticate. Afterwards the client reconnects by itself until ``disconnect``.

        Raises:
            RelayError: the server refused us three times; its message.
            ConfigurationError: the CA file cannot be read.
        """
        if self._running is not None:
            raise RuntimeError("the client is connected already; disconnect() first")
        tls = make_tls_context(self._settings.ca_file) if self._settings.url.startswith("wss://") else None
        loop = asyncio.get_running_loop()
        settings = SessionSettings(
            authentication=self._settings.authentication,
            agent=_AGENT,
            contexts=tuple(self._contexts),
            request_timeout_s=self._request_timeout_s,
        )
        self._session = Session(settings, random=random.random, new_id=new_id)
        self._connection = Connection(self._session, self._settings.url, tls, self._take)
        self._ready = loop.create_future()
        self._stopped = loop.create_future()
        self._session.connect()
        self._connection.pump()
        self._running = asyncio.create_task(self._connection.run(), name="offhook: connection")
        self._running.add_done_callback(self._connection_ended)
        try:
            await asyncio.shield(self._ready)
        except BaseException:
            await self.disconnect()
            raise

    async def disconnect(self) -> None:
        """Close the connection. Open actions, waits and dials end with cause ``closed``; handlers are cancelled."""
        if self._session is None or self._connection is None or self._running is None:
            return
        if self.is_connected:
            await self._calls.part()
        self._calls.close()
        self._messages.end("closed")
        self._session.close()
        self._connection.pump()
        running, self._running = self._running, None
        await self._tasks.close()
        await running

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    def run(self) -> None:
        """Connect and serve calls until SIGINT or SIGTERM; then take no more calls, let handlers finish, and leave.

        Raises:
            RelayError: the server refused us.
        """
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()
        at_once = asyncio.Event()

        def ask() -> None:
            (at_once if asked.is_set() else asked).set()

        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
                loop.add_signal_handler(number, ask)
        connecting = asyncio.create_task(self.connect())
        waiting = asyncio.create_task(asked.wait())
        try:
            await asyncio.wait({connecting, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                await connecting
                await self._until_asked(waiting)
                await self._drain(at_once)
        finally:
            for task in (connecting, waiting):
                task.cancel()
            await asyncio.gather(connecting, waiting, return_exceptions=True)
            await self.disconnect()

    async def _until_asked(self, waiting: asyncio.Task[bool]) -> None:
        assert self._stopped is not None
        watched: set[asyncio.Future[Any]] = {waiting, self._stopped}
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if self._stopped.done():
            error = self._stopped.result()
            if error is not None:
                raise error

    async def _drain(self, at_once: asyncio.Event) -> None:
        """Take no more calls and let the handlers that run finish."""
        with contextlib.suppress(RelayError):
            await self.unreceive(self._contexts)
        handlers = self._calls.handling
        if handlers:
            log.info("waiting for handlers", extra={"handlers": len(handlers), "timeout_s": self._drain_timeout_s})
            hurried = asyncio.create_task(at_once.wait())
            finished = asyncio.gather(*handlers, return_exceptions=True)
            watched: set[asyncio.Future[Any]] = {hurried, finished}
            await asyncio.wait(watched, timeout=self._drain_timeout_s, return_when=asyncio.FIRST_COMPLETED)
            hurried.cancel()
            finished.cancel()
            await asyncio.gather(hurried, finished, return_exceptions=True)

    # --- requests -------------------------------------------------------------------------------------------

    async def execute(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send any request and return the whole result.

        While the connection is away it is queued. Cancelling leaves a request that was sent to its fate.

        Raises:
            RelayError: refused (its code), no reply, or the connection is gone for good (-1).
        """
        session, connection = self._session, self._connection
        if session is None or connection is None:
            raise ConnectionLost(f"{method}: the client is not connected; connect() first", was_sent=False)
        loop = asyncio.get_running_loop()
        request_id = session.request(method, params, loop.time())
        reply: asyncio.Future[dict[str, Any]] = loop.create_future()
        self._replies[request_id] = reply
        connection.pump()
        try:
            return _checked(await reply)
        finally:
            self._replies.pop(request_id, None)
            session.forget(request_id)

    async def receive(self, contexts: Sequence[str]) -> dict[str, Any]:
        """Take inbound calls of more contexts, also after a reconnect. An empty list does nothing."""
        return await self._subscribe(methods.RECEIVE, contexts)

    async def unreceive(self, contexts: Sequence[str]) -> dict[str, Any]:
        """Take no more inbound calls of these contexts. An empty list does nothing."""
        return await self._subscribe(methods.UNRECEIVE, contexts)

    async def _subscribe(self, method: str, contexts: Sequence[str]) -> dict[str, Any]:
        wanted = list(dict.fromkeys(contexts))
        if not wanted:
            return {}
        result = await self.execute(method, {"contexts": wanted})
        kept = [context for context in self._contexts if context not in wanted]
        self._contexts = kept + wanted if method == methods.RECEIVE else kept
        if self._session is not None:
            self._session.contexts = list(self._contexts)
        return result

    # --- dialling -------------------------------------------------------------------------------------------

    async def dial(
        self,
        devices: Sequence[Sequence[Device]],
        *,
        tag: str | None = None,
        max_duration: int | None = None,
        dial_timeout: float | None = None,
        timeout: float | None = None,
        max_price_per_minute: float | None = None,
        send_digits: str | None = None,
        dest_swml: str | dict[str, Any] | None = None,
        region: str | None = None,
        **extra: Any,
    ) -> Call:
        """Place a call and return it when it is answered.

        When this times out or is cancelled, every leg of the dial is ended, also those that appear later.

        Args:
            devices: the outer list is tried in order, the devices of an inner one ring at the same time.
            tag: correlates events, default a new UUID.
            max_duration: end the call after so many seconds.
            dial_timeout: seconds to wait for an answer, default 120.
            timeout: seconds to ring a device that says nothing itself, default 30.
            max_price_per_minute: skip dearer devices.
            send_digits: DTMF to send after the answer; ``w`` pauses 0.5 s, ``W`` 1 s.
            dest_swml: SWML to run on the call, inline or by https URL.
            region: older hint.
            extra: sent as it is.

        Raises:
            DialFailed: nobody answered; ``reason`` says why.
            RelayError: the dial was refused, or the connection was lost for good.
        """
        given = {
            "tag": tag or new_id(),
            "devices": devices,
            "max_duration": max_duration,
            "timeout": timeout,
            "max_price_per_minute": max_price_per_minute,
            "send_digits": send_digits,
            "dest_swml": dest_swml,
            "region": region,
        }
        params = compose(dial.Dial, given, extra)
        pending = self._calls.dials.begin(params["tag"])
        wait_s = 120.0 if dial_timeout is None else dial_timeout
        try:
            async with asyncio.timeout(wait_s):
                await self.execute(dial.Dial.method, params)
                call = await asyncio.shield(pending.answer)
        except TimeoutError as error:
            self._calls.abandon(pending)
            text = f"Dial timed out waiting for answer (tag={pending.tag})"
            raise DialFailed(text, tag=pending.tag, reason="timeout") from error
        except BaseException:
            self._calls.abandon(pending)
            raise
        self._calls.dials.finish(pending)
        return call

    # --- messages -------------------------------------------------------------------------------------------

    async def send_message(
        self,
        *,
        to_number: str,
        from_number: str,
        context: str | None = None,
        body: str | None = None,
        media: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        region: str | None = None,
        on_completed: Handler[RelayEvent] | None = None,
        tag: str | None = None,
        status_callback: str | None = None,
        send_as_mms: bool | None = None,
        message_type: str | None = None,
        template_id: str | None = None,
        header_template_parameters: Any = None,
        body_template_parameters: Any = None,
        button_template_parameters: Any = None,
        **extra: Any,
    ) -> Message:
        """Send a message: ``body``, ``media`` or both. ``wait`` on the result tells how it went.

        Args:
            to_number: E.164.
            from_number: E.164, a number of yours.
            context: that gets its events, default this session's own.
            body: its text.
            media: at most 8 URLs.
            tags: your own, given back with the Message.
            region: older hint.
            on_completed: called with the last event, sync or async.
            tag: your own, given back in its events.
            status_callback: https URL that is POSTed the events.
            send_as_mms: send a text as MMS.
            message_type: of WhatsApp: ``whatsapp_media_text`` and so on.
            template_id: of WhatsApp; then ``body`` may be absent.
            header_template_parameters: of the template.
            body_template_parameters: of the template.
            button_template_parameters: of the template.
            extra: sent as it is.

        Raises:
            CallerError: there is nothing to send.
            RelayError: the server refused it.
        """
        if not body and not media and not template_id:
            raise CallerError("send_message needs `body` or `media`, or both")
        given = {
            "to_number": to_number,
            "from_number": from_number,
            "context": context or (self._session.protocol if self._session else None) or "default",
            "body": body,
            "media": media,
            "tags": tags,
            "region": region,
            "tag": tag,
            "status_callback": status_callback,
            "send_as_mms": send_as_mms,
            "message_type": message_type,
            "template_id": template_id,
            "header_template_parameters": header_template_parameters,
            "body_template_parameters": body_template_parameters,
            "button_template_parameters": button_template_parameters,
        }
        params = compose(SendMessage, given, extra)
        self._messages.sending += 1
        try:
            result = await self.execute(SendMessage.method, params)
            return self._messages.sent(params, str(result.get("message_id", "")), on_completed)
        finally:
            self._messages.sending -= 1
            self._messages.idle()

    # --- what the session says ------------------------------------------------------------------------------

    def _take(self, output: Output) -> None:
        match output:
            case outputs.Arrived(envelope):
                event = parse_event(envelope)
                if isinstance(event, MessageEvent):
                    self._messages.dispatch(event)
                else:
                    self._calls.dispatch(event)
            case outputs.Completed(request_id, result):
                reply = self._replies.get(request_id)
                if reply is not None and not reply.done():
                    reply.set_result(result)
            case outputs.Failed(request_id, error):
                reply = self._replies.get(request_id)
                if reply is not None and not reply.done():
                    reply.set_exception(error)
            case outputs.Connected(resumed, again):
                self._connected(resumed=resumed, again=again)
            case outputs.Lost(reason, delay_s):
                log.warning("connection lost: %s; next try in %.1f s", reason, delay_s)
            case outputs.Ignored(reason):
                log.warning("ignored an unreadable frame", extra={"reason": reason})
            case outputs.Stopped(error):
                self._end(error)

    def _connected(self, *, resumed: bool, again: bool) -> None:
        log.info("connected", extra={"resumed": resumed})
        if again and not resumed:
            self._calls.lose()
            self._messages.end("gone", frozenset(self._contexts))
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def _end(self, error: RelayError | None) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(error or ConnectionLost("the client was closed while connecting", was_sent=False))
            self._ready.exception()  # read here: connect() may have been cancelled
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(error)
        if error is not None:
            log.error("the server refuses this client: %s", error)
            self._calls.dials.fail_all(error)

    def _connection_ended(self, task: asyncio.Task[None]) -> None:
        """The driver failed, which is a bug: nobody may wait for it any more."""
        if not task.cancelled() and task.exception() is not None and self._session is not None:
            log.error("the connection failed", exc_info=task.exception())
            self._session.close()
            while (output := self._session.poll()) is not None:
                self._take(output)


def _checked(result: dict[str, Any]) -> dict[str, Any]:
    """Refuse a result whose code is not 2xx; absent is fine (relay-protocol 2)."""
    if "code" not in result:
        return result
    code = str(result["code"])
    if codes.is_success(code):
        return result
    number = int(code) if code.isascii() and code.lstrip("-").isdecimal() else codes.LOCAL_ERROR
    raise RelayError(number, str(result.get("message", "")))
