"""Who waits for an event or a state of a call. ``calls/typed_events.py`` has the types of what comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from offhook.client.events import CallStateEvent, RelayEvent, made_here
from offhook.client.listening.wait import Wait
from offhook.protocol.states import CALL_STATE_ORDER, CallState
from offhook.protocol.verbs.state import STATE_EVENT

__all__ = ["CallWaits"]

log = logging.getLogger("offhook.client")

_MANY: Final = 100
_HELD_UP_S: Final = 0.1
"""How long each command takes, after so many on a call that is over."""


class CallWaits:
    """A call's waits, the states that it reached, and whether it is over."""

    call_id: str
    node_id: str
    state: str

    def __init__(self) -> None:
        self._waits: list[Wait] = []
        self._states: dict[str, CallStateEvent] = {}
        self._over: CallStateEvent | None = None
        self._asked_after = 0

    async def wait_for(
        self,
        event_type: str,
        predicate: Callable[[Any], bool] | None = None,
        timeout: float | None = None,
    ) -> RelayEvent:
        """Wait for the next event of a type that the predicate accepts; earlier ones do not count.

        When the call is over before it comes, an event of the same class is returned, with a ``cause`` and empty
        params: its attributes read as empty.

        Args:
            event_type: such as ``calling.call.play``, or one that is not known here.
            predicate: says of an event of that type whether it is the one, default any. Its failures are logged, and
                count as no.
            timeout: seconds, default as long as the call lasts.

        Raises:
            TimeoutError: after ``timeout`` seconds.
        """
        if self._over is not None:
            await self._let_others_run()
            return made_here(event_type, self._over.cause or "ended")
        wait = Wait(event_type, predicate)
        self._waits.append(wait)
        try:
            if timeout is None:
                return await wait.future
            async with asyncio.timeout(timeout):
                return await wait.future
        finally:
            self._waits.remove(wait)

    async def wait_for_ringing(self, timeout: float | None = None) -> CallStateEvent:
        """Wait until the call rings, or went past that; returns at once when it did. See ``wait_for``."""
        return await self._wait_for_state(CallState.RINGING, timeout)

    async def wait_for_answered(self, timeout: float | None = None) -> CallStateEvent:
        """Wait until the call is answered, or ended unanswered: look at ``call_state``. See ``wait_for``."""
        return await self._wait_for_state(CallState.ANSWERED, timeout)

    async def wait_for_ending(self, timeout: float | None = None) -> CallStateEvent:
        """Wait until the call is ending, or ended; returns at once when it is. See ``wait_for``."""
        return await self._wait_for_state(CallState.ENDING, timeout)

    async def wait_for_ended(self, timeout: float | None = None) -> CallStateEvent:
        """Wait until the call ended; returns at once when it did. See ``wait_for``."""
        return await self._wait_for_state(CallState.ENDED, timeout)

    async def _wait_for_state(self, state: CallState, timeout: float | None) -> CallStateEvent:
        wanted = CALL_STATE_ORDER[state]
        for name, event in self._states.items():
            if CALL_STATE_ORDER.get(name, -1) >= wanted:
                return event
        if self._over is not None:
            return self._over
        if CALL_STATE_ORDER.get(self.state, -1) >= wanted:
            return CallStateEvent(
                STATE_EVENT, {"call_id": self.call_id, "node_id": self.node_id, "call_state": self.state}
            )
        reached = await self.wait_for(
            STATE_EVENT, lambda event: CALL_STATE_ORDER.get(event.call_state, -1) >= wanted, timeout
        )
        assert isinstance(reached, CallStateEvent)
        return reached

    async def _let_others_run(self) -> None:
        """Somebody asks something of a call that is over, perhaps in a loop: that must not hold up other calls."""
        self._asked_after += 1
        if self._asked_after == _MANY:
            what = "a program goes on with a call that is over: look at call.state, or at the cause of what comes back"
            log.warning(what, extra={"call_id": self.call_id, "state": self.state})
        await asyncio.sleep(0 if self._asked_after < _MANY else _HELD_UP_S)
