"""``calling.collect``: digits, once or again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from offhook.errors import CommandRefused
from offhook.node.calls.action import Cause
from offhook.node.calls.call import Call
from offhook.node.calls.digits import CollectedDigits, DigitInput, DigitRule
from offhook.node.calls.label import OpenAction
from offhook.node.calls.ports import Events
from offhook.node.verbs.base import Frame, Unbuilt, Verb, VerbPorts
from offhook.protocol.codes import ResultCode
from offhook.protocol.states import CollectResultType, CollectState
from offhook.protocol.verbs import collect

__all__ = ["Collect"]


class Collect(Verb[collect.Collect]):
    """One-shot: ends with its first result. Continuous: ends when stopped or with the call."""

    spec = collect.SPECS[0]
    unbuilt: ClassVar[Unbuilt] = MappingProxyType({"status_url": None, "speech": None})

    def __init__(self, call: Call, params: collect.Collect, ports: VerbPorts, events: Events) -> None:
        super().__init__(call, params, ports, events)
        self._timers = asyncio.Event()
        self._result: CollectedDigits | None = None
        self._has_started = False
        self._partial = ""
        if params.start_input_timers:
            self._timers.set()

    async def run(self) -> None:
        digits = self.params.digits
        if digits is None:
            raise CommandRefused(ResultCode.BAD_REQUEST, "`digits` is missing")
        rule = DigitRule(
            max=digits.max,
            terminators=digits.terminators,
            digit_timeout_s=digits.digit_timeout,
            initial_timeout_s=self.params.initial_timeout,
        )
        with DigitInput(self.leg, rule) as keys:
            self.accept()
            while True:
                self._has_started, self._partial = False, ""
                result = await keys.read(self._timers, self._heard)
                if not self.params.is_continuous:
                    self._result = result
                    return
                self._say(CollectState.COLLECTING, result.result(), final=True)
                if result.type is CollectResultType.NO_INPUT:
                    self._timers.clear()  # said once, not again until start_input_timers

    async def finish(self, cause: Cause) -> Sequence[Frame]:
        if cause is Cause.FINISHED and self._result is not None:
            return [self._frame(self._result.result())]
        if cause in (Cause.STOPPED, Cause.HANGUP):
            types = (CollectResultType.FINISHED, CollectResultType.NO_INPUT)  # each settles one published client
            return [self._frame({"type": result.value}) for result in types]
        return self.broken(self.open_action, self.failure, self.ports)

    @classmethod
    def broken(cls, action: OpenAction, message: str, ports: VerbPorts) -> Sequence[Frame]:  # noqa: ARG003
        result = {"type": CollectResultType.ERROR.value, "params": {"message": message}}
        return [(cls.event, {"state": CollectState.ERROR.value, "final": True, "result": result})]

    async def start_input_timers(self, _params: object) -> None:
        """Let the initial timeout count from now."""
        self._timers.set()

    def _heard(self, digits: str) -> None:
        if not self._has_started:
            self._has_started = True
            if self.params.send_start_of_input:
                self.emit(self.event, {"result": {"type": CollectResultType.START_OF_INPUT.value}})
        if self.params.partial_results and digits != self._partial:  # a terminator changes nothing
            self._partial = digits
            partial = CollectedDigits(CollectResultType.DIGIT, digits).result()
            self._say(CollectState.COLLECTING, partial, final=False)

    def _say(self, state: CollectState, result: dict[str, Any], *, final: bool) -> None:
        if not self.is_ending:
            self.emit(self.event, {"state": state.value, "final": final, "result": result})

    def _frame(self, result: dict[str, Any]) -> Frame:
        if self.params.is_continuous or self.params.partial_results:
            return (self.event, {"state": CollectState.FINISHED.value, "final": True, "result": result})
        return (self.event, {"result": result})
