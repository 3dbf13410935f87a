"""One session with its driver: requests and their replies, and what the session says to the client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from offhook.client.calls.calls import LiveCalls
from offhook.client.events import RelayEvent, parse_event
from offhook.client.session import outputs
from offhook.client.session.outputs import Output
from offhook.client.session.session import Session, State
from offhook.errors import ConnectionLost, RelayError
from offhook.protocol import codes

__all__ = ["Driver", "Link", "MakeDriver"]

log = logging.getLogger("offhook.client")


class Driver(Protocol):
    """What does the IO of a session."""

    async def run(self) -> None:
        """Keep the session connected until it stops."""
        ...

    def pump(self) -> None:
        """Act on what the session wants."""
        ...

    def pump_soon(self) -> None:
        """Do so before the loop's next turn: many tasks may ask something in this one."""
        ...


_ALL_TOLD: Final = 10
_ONE_OF: Final = 1_000
"""Unreadable frames that have a line in the log: the first ones, then one of so many."""

MakeDriver = Callable[[Session, Callable[[Output], None]], Driver]


class Link:
    """A session that is being kept connected. ``stopped`` ends with the server's refusal, or None when closed.

    ``on_event`` gets each event once, in order; ``on_connected`` whether the session is the one that was before, and
    whether there was one; ``on_lapsed`` that it was away for too long to wait for its events; ``on_truncated`` that
    events were lost, and what lives, if that is known. None may raise.
    """

    def __init__(
        self,
        session: Session,
        make_driver: MakeDriver,
        *,
        on_event: Callable[[RelayEvent], None],
        on_connected: Callable[[bool, bool], None],
        on_lapsed: Callable[[], None],
        on_truncated: Callable[[LiveCalls | None], None],
    ) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self.session = session
        self.ready: asyncio.Future[None] = loop.create_future()
        self.stopped: asyncio.Future[RelayError | None] = loop.create_future()
        self._driver = make_driver(session, self._take)
        self._on_event = on_event
        self._on_connected = on_connected
        self._on_lapsed = on_lapsed
        self._on_truncated = on_truncated
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._running: asyncio.Task[None] | None = None
        self._ignored = 0

    def __repr__(self) -> str:
        return f"Link(state={self.session.state.value!r}, waiting={len(self._replies)})"

    @property
    def is_ready(self) -> bool:
        """Authenticated, and the socket is open."""
        return self.session.state is State.READY

    def open(self) -> None:
        """Begin to connect; ``ready`` tells when it did."""
        self.session.connect()
        self._driver.pump()
        self._running = asyncio.create_task(self._driver.run(), name="offhook: connection")
        self._running.add_done_callback(self._driver_ended)

    def close(self) -> None:
        """End the session. What has no outcome fails."""
        self.session.close()
        self._driver.pump()

    async def wait_closed(self) -> None:
        """Wait until the driver is gone."""
        if self._running is not None:
            await self._running

    async def execute(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return the whole result; see ``RelayClient.execute``."""
        request_id = self.session.request(method, params, self._loop.time())
        reply: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._replies[request_id] = reply
        self._driver.pump_soon()
        try:
            return self._checked(await reply)
        finally:
            if self._replies.pop(request_id, None) is not None:  # it was given up
                self.session.forget(request_id)

    def _checked(self, result: dict[str, Any]) -> dict[str, Any]:
        """Refuse a result whose code is not 2xx; absent is fine (relay-protocol 2)."""
        code = result.get("code", "200")
        if code == "200":
            return result
        number = codes.number_of_code(code)
        if 200 <= number < 300:
            return result
        raise RelayError(number, self.session.mask(str(result.get("message", ""))))

    # --- what the session says ------------------------------------------------------------------------------

    def _take(self, output: Output) -> None:
        if type(output) is outputs.Arrived:
            self._on_event(parse_event(output.event))
        elif type(output) is outputs.Completed:
            reply = self._replies.pop(output.request_id, None)
            if reply is not None and not reply.done():
                reply.set_result(output.result)
        else:
            self._tell(output)

    def _tell(self, output: Output) -> None:
        match output:
            case outputs.Failed(request_id, error):
                reply = self._replies.pop(request_id, None)
                if reply is not None and not reply.done():
                    reply.set_exception(error)
            case outputs.Connected(resumed, again):
                self._connected(resumed=resumed, again=again)
            case outputs.Lost(reason, delay_s):
                log.warning("connection lost: %s; next try in %.1f s", reason, delay_s)
            case outputs.Lapsed():
                log.warning("the connection is away for too long: nothing waits for events of its calls any more")
                self._on_lapsed()
            case outputs.Truncated(calls):
                log.warning("the server could not keep all events for us while we were away")
                self._on_truncated(calls)
            case outputs.Ignored(reason):
                self._ignored += 1
                if self._ignored <= _ALL_TOLD or self._ignored % _ONE_OF == 0:
                    log.warning("ignored an unreadable frame (%d so far)", self._ignored, extra={"reason": reason})
            case outputs.Stopped(error):
                self._end(error)

    def _connected(self, *, resumed: bool, again: bool) -> None:
        log.info("connected", extra={"resumed": resumed})
        self._on_connected(resumed, again)
        if not self.ready.done():
            self.ready.set_result(None)

    def _end(self, error: RelayError | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(error or ConnectionLost("the client was closed while connecting", was_sent=False))
            self.ready.exception()  # read here: connect() may have been cancelled
        if error is not None:
            log.error("the server refuses this client: %s", error)
        if not self.stopped.done():
            self.stopped.set_result(error)

    def _driver_ended(self, task: asyncio.Task[None]) -> None:
        """The driver failed, which is a bug: nobody may wait for it any more."""
        if not task.cancelled() and task.exception() is not None:
            log.error("the connection failed", exc_info=task.exception())
            self.session.close()
            while (output := self.session.poll()) is not None:
                self._take(output)
