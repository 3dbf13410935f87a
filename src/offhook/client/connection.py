"""The session's driver: one aiohttp WebSocket at a time, and the clock. It decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from offhook.client import outputs
from offhook.client.outputs import Output
from offhook.client.recording import SessionRecorder
from offhook.client.session import Session
from offhook.errors import ConfigurationError

__all__ = ["Connection", "make_tls_context", "parse_host"]

log = logging.getLogger("offhook.client")

_MAX_FRAME_BYTES: Final = 10 * 1024 * 1024
_OPEN_TIMEOUT_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 1.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def parse_host(host: str) -> str:
    """Turn ``relay.example.com``, ``localhost:7443`` or ``wss://...`` into the URL to open.

    Raises:
        ConfigurationError: it is no bare host, or it would send the token in clear to another machine.
    """
    if any(character in host.removeprefix("wss://").removeprefix("ws://") for character in "/@?#\\\r\n\t "):
        raise ConfigurationError("host", "give a bare host name, with :port if need be, and no path or user")
    url = host if host.startswith(("ws://", "wss://")) else f"wss://{host}"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ConfigurationError("host", f"not a host name: {error}") from error
    if not parts.hostname:
        raise ConfigurationError("host", "give the host name of a node or space")
    if parts.scheme == "ws" and parts.hostname not in _LOOPBACK:
        raise ConfigurationError("host", "ws:// would send the token in clear; use wss:// beyond this machine")
    return url


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
        self._outbox: deque[str] = deque()
        self._wake_writer = asyncio.Event()
        self._changed = asyncio.Event()
        self._dropped = asyncio.Event()
        self._open_asked = False
        self._stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Keep the session connected until it stops."""
        try:
            async with aiohttp.ClientSession() as http:
                while not self._stopped:
                    self._changed.clear()
                    if self._open_asked:
                        self._open_asked = False
                        await self._serve_socket(http)
                    else:
                        await self._changed.wait()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def pump(self) -> None:
        """Act on what the session wants; call it after each input."""
        while (output := self._session.poll()) is not None:
            match output:
                case outputs.Send(text):
                    self._outbox.append(text)
                    self._wake_writer.set()
                case outputs.Open():
                    self._open_asked = True
                    self._dropped = asyncio.Event()
                    self._changed.set()
                case outputs.Drop():
                    self._dropped.set()
                    self._wake_writer.set()
                case _:
                    if isinstance(output, outputs.Stopped):
                        self._stopped = True
                        self._changed.set()
                    self._on_output(output)
        self._arm()

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

    async def _serve_socket(self, http: aiohttp.ClientSession) -> None:
        """Open a socket and live on it until it goes or is to be dropped."""
        self._outbox.clear()
        drop = self._dropped  # this socket's own: the next Open brings another
        dropped = asyncio.create_task(drop.wait())
        opening = asyncio.create_task(self._open(http))
        try:
            await asyncio.wait({dropped, opening}, return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                return
            socket = opening.result()
            if isinstance(socket, str):
                self._feed_lost(socket)
            else:
                await self._live(socket, drop, dropped)
        finally:
            await _cancel(dropped, opening)

    async def _open(self, http: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse | str:
        """Open a WebSocket; a text says why there is none."""
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT_S):
                return await http.ws_connect(
                    self._url,
                    ssl=self._tls if self._tls is not None else True,
                    max_msg_size=_MAX_FRAME_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_receive=None, ws_close=_CLOSE_TIMEOUT_S),
                )
        except TimeoutError:
            return f"no connection to {self._url} in {_OPEN_TIMEOUT_S:g} s"
        except (aiohttp.ClientError, OSError) as error:
            return f"no connection to {self._url}: {error}"

    async def _live(
        self, socket: aiohttp.ClientWebSocketResponse, drop: asyncio.Event, dropped: asyncio.Task[bool]
    ) -> None:
        reader = asyncio.create_task(self._read(socket))
        writer = asyncio.create_task(self._write(socket, drop))
        try:
            if self._recorder is not None:
                self._recorder.opened()
            self._session.opened(self._loop.time())
            self.pump()
            await asyncio.wait({reader, writer, dropped}, return_when=asyncio.FIRST_COMPLETED)
            if drop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(writer, _CLOSE_TIMEOUT_S)
        finally:
            await _cancel(reader, writer)
            await socket.close()
        if not drop.is_set():
            self._feed_lost(_closing_reason(socket))
        elif self._recorder is not None:
            self._recorder.closed()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                if self._recorder is not None:
                    self._recorder.received(message.data)
                self._session.received(message.data, self._loop.time())
                self.pump()

    async def _write(self, socket: aiohttp.ClientWebSocketResponse, drop: asyncio.Event) -> None:
        """Send what is asked, in order; after a drop, what was asked before it."""
        while True:
            while self._outbox:
                text = self._outbox.popleft()
                try:
                    await socket.send_str(text)
                    if self._recorder is not None:
                        self._recorder.sent(text)
                except (aiohttp.ClientError, ConnectionError) as error:
                    log.debug("sending failed", extra={"reason": str(error)})
                    return
            if drop.is_set():
                return
            self._wake_writer.clear()
            await self._wake_writer.wait()

    def _feed_lost(self, reason: str) -> None:
        if self._recorder is not None:
            self._recorder.lost(reason)
        self._session.lost(reason, self._loop.time())
        self.pump()


def _closing_reason(socket: aiohttp.ClientWebSocketResponse) -> str:
    failure = socket.exception()
    return str(failure) if failure is not None else f"the server closed the socket (code {socket.close_code})"


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    """Cancel what runs and wait until it is gone; failures come out."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
