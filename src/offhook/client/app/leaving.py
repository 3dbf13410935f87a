"""How a client leaves: what runs may finish for a time, what is open ends, and nothing is left."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from offhook.client.app.link import Link
from offhook.client.calls import calls, messages
from offhook.client.calls.calls import Calls
from offhook.client.calls.messages import Messages
from offhook.client.listening.tasks import Tasks, named

__all__ = ["AT_MOST_S", "HANDLERS", "Leaving"]

log = logging.getLogger("offhook.client")

AT_MOST_S: Final = 5.0
"""What ``disconnect`` takes of the client's ``drain_timeout``."""

_AFTER_THE_END_S: Final = 1.0
"""Of that time, what is kept for those that the end of their calls wakes or calls; at most half of it."""

HANDLERS: Final = frozenset({calls.HANDLER, messages.HANDLER})
"""What runs as long as a call or message keeps it."""


class Leaving:
    """One client on its way out.

    Callbacks that run may go on with their calls; handlers, which last as long as a call does, are not waited for.
    Then all that is open ends with cause ``closed``, no request goes out any more, and everybody has the rest of the
    time: handlers, callbacks, and those that this end called.
    """

    def __init__(self, link: Link, calls: Calls, messages: Messages, tasks: Tasks) -> None:
        self.gone = asyncio.Event()
        """Nothing is left."""
        self._link = link
        self._calls = calls
        self._messages = messages
        self._tasks = tasks

    async def run(self, within_s: float) -> None:
        """Leave. Cancelled, it does not wait for what runs any longer, and leaves."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        kept_s = min(_AFTER_THE_END_S, within_s / 2)
        self._tasks.is_leaving = True
        try:
            if self._link.is_ready:
                await self._tasks.drain(within_s - kept_s, besides=HANDLERS)
                await self._calls.part()
            self._end()
            await self._tasks.drain(max(kept_s, until - loop.time()))
        finally:
            self._end()
            try:
                if cancelled := await self._tasks.close():
                    log.warning("cancelled, since the client left: %s", named(cancelled))
                await self._link.wait_closed()
            finally:
                self._tasks.is_leaving = False
                self.gone.set()

    def _end(self) -> None:
        self._calls.close()
        self._messages.end("closed")
        self._link.close()
