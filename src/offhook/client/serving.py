"""What ``RelayClient.run`` does: serve calls until a signal, let handlers finish, and leave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from offhook.errors import RelayError

__all__ = ["Served", "serve"]

log = logging.getLogger("offhook.client")


class Served(Protocol):
    """What is served: a client."""

    @property
    def contexts(self) -> list[str]:
        """Contexts whose calls it takes."""
        ...

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

    async def disconnect(self) -> None:
        """Leave."""
        ...

    def unreceive(self, contexts: Sequence[str]) -> Awaitable[object]:
        """Take no more calls."""
        ...


async def serve(client: Served, drain_timeout_s: float) -> None:
    """Serve until SIGINT or SIGTERM, then drain; a second signal ends at once.

    Raises:
        RelayError: the server refused the client.
    """
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    at_once = asyncio.Event()

    def ask() -> None:
        (at_once if asked.is_set() else asked).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
            loop.add_signal_handler(number, ask)
    connecting = asyncio.create_task(client.connect())
    waiting = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait({connecting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            await connecting
            await _until_asked(client, waiting)
            await _drain(client, at_once, drain_timeout_s)
    finally:
        for task in (connecting, waiting):
            task.cancel()
        await asyncio.gather(connecting, waiting, return_exceptions=True)
        await client.disconnect()


async def _until_asked(client: Served, waiting: asyncio.Task[bool]) -> None:
    stopped = client.stopped
    watched: set[asyncio.Future[Any]] = {waiting, stopped}
    await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        error = stopped.result()
        if error is not None:
            raise error


async def _drain(client: Served, at_once: asyncio.Event, timeout_s: float) -> None:
    """Take no more calls and let the handlers that run finish."""
    with contextlib.suppress(RelayError):
        await client.unreceive(client.contexts)
    handlers = client.handling
    if not handlers:
        return
    log.info("waiting for handlers", extra={"handlers": len(handlers), "timeout_s": timeout_s})
    hurried = asyncio.create_task(at_once.wait())
    finished = asyncio.gather(*handlers, return_exceptions=True)
    watched: set[asyncio.Future[Any]] = {hurried, finished}
    await asyncio.wait(watched, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    finished.cancel()
    await asyncio.gather(hurried, finished, return_exceptions=True)
