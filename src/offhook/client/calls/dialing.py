"""Dials in flight: which legs belong to a tag, who waits for the answer, and what to do with legs nobody waits for."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from offhook.client.calls.call import Call
from offhook.client.events import DialEvent, RelayEvent
from offhook.errors import DialFailed, RelayError
from offhook.protocol.states import CallState, DialState

__all__ = ["Dials", "PendingDial"]

_ABANDONED_FOR_S: Final = 600.0
_MAX_ABANDONED: Final = 10_000


class PendingDial:
    """Somebody waits for a tag to be answered. ``legs`` are the calls seen with it that are not over."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.answer: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        self.legs: dict[str, Call] = {}
        self.past_legs: dict[str, Call] = {}
        """Those that are over: a dial event may tell of them later."""

    @property
    def is_answered(self) -> bool:
        """Somebody answered."""
        return self.answer.done() and not self.answer.cancelled() and self.answer.exception() is None

    def fail(self, error: RelayError) -> None:
        """End the wait with an error."""
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # read here: the waiter may have gone, which is no failure of its own


class Dials:
    """All tags of one client: pending, and abandoned (timed out or cancelled), whose legs are to be ended.

    A leg of an abandoned tag may appear long after its dial was given up (signalwire-legacy-js#1329); tags are
    kept for 600 s.
    """

    def __init__(self) -> None:
        self._pending: dict[str, PendingDial] = {}
        self._abandoned: OrderedDict[str, float] = OrderedDict()

    def begin(self, tag: str) -> PendingDial:
        """Expect answers for a tag.

        Raises:
            DialFailed: another dial waits for the same tag.
        """
        if tag in self._pending:
            raise DialFailed(f"tag {tag!r} is in use by another dial; choose another", tag=tag, reason="error")
        self._abandoned.pop(tag, None)
        dial = self._pending[tag] = PendingDial(tag)
        return dial

    def finish(self, dial: PendingDial) -> None:
        """Nobody waits any more, and all is well."""
        self._pending.pop(dial.tag, None)

    def abandon(self, dial: PendingDial, now: float) -> list[Call]:
        """Give a dial up: returns the legs to end now; later ones are told by ``is_abandoned``."""
        self._pending.pop(dial.tag, None)
        self._abandoned[dial.tag] = now + _ABANDONED_FOR_S
        while self._abandoned and (
            len(self._abandoned) > _MAX_ABANDONED or next(iter(self._abandoned.values())) <= now
        ):
            self._abandoned.popitem(last=False)
        return [leg for leg in dial.legs.values() if leg.state != CallState.ENDED]

    def is_ours(self, tag: str) -> bool:
        """A leg with this tag belongs to a dial of ours."""
        return bool(tag) and (tag in self._pending or tag in self._abandoned)

    def is_abandoned(self, tag: str) -> bool:
        """Nobody wants a call with this tag."""
        return bool(tag) and tag in self._abandoned

    def past_leg(self, tag: str, call_id: str) -> Call | None:
        """A leg of a pending dial that is over."""
        dial = self._pending.get(tag)
        return None if dial is None else dial.past_legs.get(call_id)

    def leg(self, call: Call) -> None:
        """A leg appeared or changed."""
        dial = self._pending.get(call.tag)
        if dial is None:
            return
        if call.state == CallState.ENDED:
            dial.legs.pop(call.call_id, None)
            dial.past_legs[call.call_id] = call
        else:
            dial.legs[call.call_id] = call

    def handle(self, event: RelayEvent, winner: Call | None) -> None:
        """Take a ``calling.call.dial`` event."""
        dial = self._pending.get(event.tag)
        if dial is None or dial.answer.done() or not isinstance(event, DialEvent):
            return
        if event.dial_state == DialState.ANSWERED and winner is not None:
            dial.answer.set_result(winner)
        elif event.dial_state == DialState.FAILED:
            reason = str(event.reason)
            text = f"Dial failed (tag={dial.tag}): {reason or 'no reason given'}"
            dial.fail(DialFailed(text, tag=dial.tag, reason=reason, source=event.source))

    def fail_all(self, error: RelayError) -> None:
        """No answer can come for any of them."""
        for dial in list(self._pending.values()):
            dial.fail(error)
