"""The session's driver: one socket at a time, and the clock. It decides nothing."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from offhook.client.session import outputs
from offhook.client.session.outputs import Output
from offhook.client.session.session import Session
from offhook.client.transport.opening import open_wire
from offhook.client.transport.recording import SessionRecorder
from offhook.client.transport.resolving import Resolver
from offhook.client.transport.wire import Wire
from offhook.errors import ConfigurationError

__all__ = ["Connection", "make_tls_context"]

log = logging.getLogger("offhook.client")

_OPEN_TIMEOUT_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 1.0


def make_tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Trust the system's certificate authorities, or only those of a PEM file.

    Raises:
        ConfigurationError: the file cannot be read as PEM.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        name = Path(ca_file).name if ca_file else ""
        raise ConfigurationError("ca_file", f"{name} cannot be read as PEM certificates: {error}") from error


class Connection:
    """Runs one session. ``on_output`` gets all but ``Open``, ``Send`` and ``Drop``, in order, and must not raise."""

    def __init__(
        self,
        session: Session,
        url: str,
        tls: ssl.SSLContext | None,
        on_output: Callable[[Output], None],
        recorder: SessionRecorder | None = None,
    ) -> None:
        self._session = session
        self._url = url
        self._tls = tls
        self._on_output = on_output
        self._recorder = recorder
        self._resolver = Resolver()
        self._wire: Wire | None = None
        self._is_pumping = False
        self._changed = asyncio.Event()
        self._dropped = asyncio.Event()
        self._open_asked = False
        self._stopped = False
        self._will_end_turn = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Keep the session connected until it stops."""
        try:
            while not self._stopped:
                self._changed.clear()
                if self._open_asked:
                    self._open_asked = False
                    await self._serve_socket()
                else:
                    await self._changed.wait()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def pump(self) -> None:
        """Act on what the session wants; call it after each input.

        What is to be sent goes at the end of this turn of the loop, all that its tasks and events have to say at
        once: a write costs more than all the rest of a frame.
        """
        if self._is_pumping:
            return  # from within: what is new is acted on after what was before
        self._is_pumping = True
        try:
            self._act()
        finally:
            self._is_pumping = False
        self._arm()
        if self._wire is not None and self._wire.outgoing:
            self.pump_soon()

    def pump_soon(self) -> None:
        """Act on what the session wants at the end of this turn of the loop, once for all that its tasks ask."""
        if not self._will_end_turn:
            self._will_end_turn = True
            self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self.pump()
        self._will_end_turn = False
        if self._wire is not None:
            self._wire.flush()

    def _act(self) -> None:
        wanted = self._session.outputs
        while wanted:
            output = wanted.popleft()
            if type(output) is outputs.Send:
                if self._wire is not None:  # else it goes with the socket it was meant for
                    self._wire.outgoing.append(output.data)
                    if self._recorder is not None:
                        self._recorder.sent(output.data.decode())
            elif type(output) is outputs.Arrived or type(output) is outputs.Completed:
                self._on_output(output)
            else:
                self._steer(output)

    def _steer(self, output: Output) -> None:
        if type(output) is outputs.Open:
            self._open_asked = True
            self._dropped = asyncio.Event()
            self._changed.set()
        elif type(output) is outputs.Drop:
            self._dropped.set()
        else:
            if type(output) is outputs.Stopped:
                self._stopped = True
                self._changed.set()
            self._on_output(output)

    def _arm(self) -> None:
        """Keep a timer at or before the deadline; one that fires early finds nothing due, and is set again."""
        deadline = self._session.deadline
        if self._timer_at is not None and deadline is not None and deadline >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._on_timer)
        self._timer_at = deadline

    def _on_timer(self) -> None:
        self._timer = self._timer_at = None
        self._session.tick(self._loop.time())
        self.pump()

    async def _serve_socket(self) -> None:
        """Open a socket and live on it until it goes or is to be dropped."""
        drop = self._dropped  # this socket's own: the next Open brings another
        dropped = asyncio.create_task(drop.wait())
        opening = asyncio.create_task(self._open())
        try:
            await asyncio.wait({dropped, opening}, return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                return
            wire = opening.result()
            if isinstance(wire, str):
                self._feed_lost(wire)
            else:
                await self._live(wire, drop, dropped)
        finally:
            await _cancel(dropped, opening)

    async def _open(self) -> Wire | str:
        """Open a WebSocket; a text says why there is none."""
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT_S):
                return await open_wire(self._url, self._tls, self._received, self._resolver)
        except TimeoutError:
            return f"no connection to {self._url} in {_OPEN_TIMEOUT_S:g} s"
        except OSError as error:
            return f"no connection to {self._url}: {error}"

    async def _live(self, wire: Wire, drop: asyncio.Event, dropped: asyncio.Task[bool]) -> None:
        self._wire = wire
        try:
            if self._recorder is not None:
                self._recorder.opened()
            self._session.opened(self._loop.time())
            self.pump()
            wire.begin()
            watched: set[asyncio.Future[Any]] = {wire.lost, dropped}
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._wire = None  # what it has not sent yet goes with its goodbye
            await wire.close(_CLOSE_TIMEOUT_S)
        if not drop.is_set():
            self._feed_lost(wire.lost.result())
        elif self._recorder is not None:
            self._recorder.closed()

    def _received(self, messages: list[bytes]) -> None:
        if self._wire is None or self._dropped.is_set():
            return
        now = self._loop.time()
        for message in messages:
            if self._recorder is not None:
                self._recorder.received(message.decode("utf-8", "replace"))
            self._session.received(message, now)
        self.pump()

    def _feed_lost(self, reason: str) -> None:
        if self._recorder is not None:
            self._recorder.lost(reason)
        self._session.lost(reason, self._loop.time())
        self.pump()


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    """Cancel what runs and wait until it is gone; failures come out."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
