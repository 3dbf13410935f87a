"""What ``RelayClient.run`` does: serve calls until a signal, let handlers finish, and leave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from offhook.client.listening.tasks import named
from offhook.errors import RelayError

__all__ = ["Served", "serve"]

log = logging.getLogger("offhook.client")

_LAST_S: Final = 1.0
"""For callbacks, when handlers took all of the time."""

_ASKING_S: Final = 1.0
"""For the node to hear that no more calls are taken. While it is away, that goes out if it is back in time."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Served(Protocol):
    """What is served: a client."""

    @property
    def handling(self) -> list[asyncio.Task[None]]:
        """Handlers of calls that run."""
        ...

    @property
    def stopped(self) -> asyncio.Future[RelayError | None]:
        """Ends when the server refuses the client for good."""
        ...

    async def connect(self) -> None:
        """Connect."""
        ...

    async def disconnect(self, drain_timeout: float | None = None) -> None:
        """Leave; what still runs has so long to finish."""
        ...

    def stop_receiving(self) -> Coroutine[Any, Any, object]:
        """Take no more calls."""
        ...


async def serve(client: Served, drain_timeout_s: float) -> None:
    """Serve until SIGINT or SIGTERM, then drain: handlers first, then callbacks. A second signal ends at once.

    From the third on signals do what they do to any program, in case a handler will not be cancelled.

    Raises:
        RelayError: the server refused the client.
    """
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    at_once = asyncio.Event()

    def ask() -> None:
        if not asked.is_set():
            asked.set()
        elif not at_once.is_set():
            at_once.set()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    for number in _SIGNALS:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
            loop.add_signal_handler(number, ask)
    connecting = asyncio.create_task(client.connect())
    waiting = asyncio.create_task(asked.wait())
    hurried = asyncio.create_task(at_once.wait())
    left_s: float | None = None
    try:
        await asyncio.wait({connecting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            await connecting
            await _until_asked(client, waiting)
            until = loop.time() + drain_timeout_s
            await _drain(client, hurried, drain_timeout_s)
            left_s = max(_LAST_S, until - loop.time())
    finally:
        await _give_up(connecting, waiting)
        await _leave(client, hurried, left_s)
        await _give_up(hurried)


async def _until_asked(client: Served, waiting: asyncio.Task[bool]) -> None:
    stopped = client.stopped
    watched: set[asyncio.Future[Any]] = {waiting, stopped}
    await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        error = stopped.result()
        if error is not None:
            raise error


async def _drain(client: Served, hurried: asyncio.Task[bool], timeout_s: float) -> None:
    """Take no more calls and let the handlers that run finish; cancel those that take too long."""
    telling = asyncio.create_task(client.stop_receiving())
    try:
        told: set[asyncio.Future[Any]] = {telling, hurried}
        await asyncio.wait(told, timeout=min(_ASKING_S, timeout_s), return_when=asyncio.FIRST_COMPLETED)
        if handlers := client.handling:
            await _finish(handlers, hurried, timeout_s)
    finally:
        await _give_up(telling)


async def _finish(handlers: list[asyncio.Task[None]], hurried: asyncio.Task[bool], timeout_s: float) -> None:
    log.info("waiting for handlers", extra={"handlers": len(handlers), "timeout_s": timeout_s})
    finished = asyncio.gather(*handlers, return_exceptions=True)
    watched: set[asyncio.Future[Any]] = {hurried, finished}
    await asyncio.wait(watched, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    if not finished.done():
        log.warning("cancelled, since it took too long: %s", named(one for one in handlers if not one.done()))
    await _give_up(finished)


async def _leave(client: Served, hurried: asyncio.Task[bool], left_s: float | None) -> None:
    """Leave; callbacks have what is left of the time, and none in a hurry."""
    leaving = asyncio.create_task(client.disconnect(left_s))
    await asyncio.wait({leaving, hurried}, return_when=asyncio.FIRST_COMPLETED)
    if leaving.done():
        await leaving
    await _give_up(leaving)


async def _give_up(*awaited: asyncio.Future[Any]) -> None:
    for one in awaited:
        one.cancel()
    await asyncio.gather(*awaited, return_exceptions=True)
