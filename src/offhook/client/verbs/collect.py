"""Collect keys or speech without playing anything.

The action ends with the first result; a ``continuous`` one goes on until it is stopped. Partial results and the start
of input come as events and do not end it. ``result_type`` of the event tells keys from speech from silence.
"""

from __future__ import annotations

from typing import Any

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Number, Object, RelayEvent, StateOfAction, Text
from offhook.client.listening.tasks import Handler
from offhook.client.words.compose import compose, new_id
from offhook.client.words.shapes import CollectDigits, CollectSpeech
from offhook.protocol.verbs import collect

__all__ = ["CollectEvent", "CollectVerb", "StandaloneCollectAction"]


class CollectEvent(StateOfAction, of=collect.EVENT):
    """Input of a collect. ``state`` is empty but for partial and continuous collects."""

    __slots__ = ()

    result = Object("result")
    """``type`` and ``params`` of what was heard."""
    result_type = Text("result.type")
    """``digit``, ``speech``, ``no_input``, ``no_match``, ``start_of_input``, ``finished`` or ``error``."""
    digits = Text("result.params.digits")
    """The keys pressed, without the terminator."""
    terminator = Text("result.params.terminator")
    """The terminator pressed, empty if none."""
    text = Text("result.params.text")
    """What was said."""
    confidence = Number("result.params.confidence")
    """How sure the recogniser is, 0 to 100; 0 when unscored."""

    @property
    def is_final(self) -> bool:
        """False for a partial result."""
        return self.params.get("final") is not False


class InputAction(Action[CollectEvent]):
    """What both kinds of collect have in common: how they end."""

    spec = collect.SPECS[0]

    async def start_input_timers(self) -> dict[str, Any]:
        """Start ``initial_timeout`` now."""
        return await self._send(collect.CollectStartInputTimers.method, {})


class StandaloneCollectAction(InputAction):
    """Input that is collected. Ends with the result; a continuous one when it is stopped."""

    is_continuous = False

    def is_last(self, event: RelayEvent) -> bool:
        """Say whether nothing follows this event of ours: what a continuous one hears does not end it."""
        return super().is_last(event) and not (self.is_continuous and not collect.is_collecting_over(event.params))


class CollectVerb(CallBase):
    """``collect``."""

    async def collect(
        self,
        *,
        digits: CollectDigits | None = None,
        speech: CollectSpeech | None = None,
        initial_timeout: float | None = None,
        partial_results: bool | None = None,
        continuous: bool | None = None,
        send_start_of_input: bool | None = None,
        start_input_timers: bool | None = None,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Handler[CollectEvent] | None = None,
        **extra: Any,
    ) -> StandaloneCollectAction:
        """Collect digits, speech or both.

        Args:
            digits: how to collect digits.
            speech: how to collect speech.
            initial_timeout: seconds to the first input, default 4; counts while the input timers run.
            partial_results: send results while they grow.
            continuous: go on after each result, until stopped.
            send_start_of_input: send an event at the first input.
            start_input_timers: start them at once, not by the action's command.
            control_id: id of the action, default a new UUID.
            status_url: is POSTed the events.
            on_completed: called with the last event, sync or async.
            extra: sent as it is.
        """
        action = StandaloneCollectAction(self, control_id or new_id(), on_completed)
        action.is_continuous = bool(continuous if continuous is not None else extra.get("continue"))
        given = {
            "control_id": action.control_id,
            "digits": digits,
            "speech": speech,
            "initial_timeout": initial_timeout,
            "partial_results": partial_results,
            "continuous": continuous,
            "send_start_of_input": send_start_of_input,
            "start_input_timers": start_input_timers,
            "status_url": status_url,
        }
        return await self.start(action, compose(collect.Collect, given, extra))
