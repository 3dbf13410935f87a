"""Collecting the digits that a party presses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import msgspec

from offhook.node.calls.leg import Leg
from offhook.node.engine.reports import DigitReport
from offhook.protocol.states import CollectResultType

__all__ = ["CollectedDigits", "DigitInput", "DigitRule"]


class DigitRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a collection is complete. Fewer digits than ``min`` are no match."""

    max: int
    min: int = 0
    terminators: str = ""
    digit_timeout_s: float = 5.0
    initial_timeout_s: float = 4.0


class CollectedDigits(msgspec.Struct, frozen=True):
    """What came of it. The terminator is not among the digits."""

    type: CollectResultType
    digits: str = ""
    terminator: str = ""

    def __repr__(self) -> str:
        return f"CollectedDigits({self.type.value}, {len(self.digits)} digits)"

    def result(self) -> dict[str, Any]:
        """The ``result`` of ``calling.call.collect``."""
        if self.type is not CollectResultType.DIGIT:
            return {"type": self.type.value}
        return {"type": self.type.value, "params": {"digits": self.digits, "terminator": self.terminator}}


class DigitInput:
    """Hears the digits of a leg while its context lasts."""

    def __init__(self, leg: Leg, rule: DigitRule) -> None:
        self._leg = leg
        self._rule = rule
        self._terminators = rule.terminators.upper()
        self._keys: asyncio.Queue[str] = asyncio.Queue()
        self._hearing = ExitStack()

    def __enter__(self) -> Self:
        self._hearing.enter_context(self._leg.hear_digits(self._hear))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hearing.close()

    def _hear(self, report: DigitReport) -> None:
        self._keys.put_nowait(report.digit.upper())

    async def read(self, timers: asyncio.Event, heard: Callable[[str], None]) -> CollectedDigits:
        """Collect once. The initial timeout counts from ``timers``; ``heard`` gets the digits so far at each key."""
        key = await self._first(timers)
        if key is None:
            return CollectedDigits(CollectResultType.NO_INPUT)
        digits = ""
        while key not in self._terminators:
            digits += key
            heard(digits)
            if len(digits) >= self._rule.max:
                return self._judge(digits)
            try:
                async with asyncio.timeout(self._rule.digit_timeout_s):
                    key = await self._keys.get()
            except TimeoutError:
                return self._judge(digits)
        heard(digits)
        return self._judge(digits, key)

    def _judge(self, digits: str, terminator: str = "") -> CollectedDigits:
        enough = len(digits) >= self._rule.min
        return CollectedDigits(CollectResultType.DIGIT if enough else CollectResultType.NO_MATCH, digits, terminator)

    async def _first(self, timers: asyncio.Event) -> str | None:
        key = asyncio.create_task(self._keys.get(), name="first digit")
        expiry = asyncio.create_task(self._expire(timers), name="initial timeout")
        tasks: set[asyncio.Task[Any]] = {key, expiry}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return key.result() if key.done() else None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _expire(self, timers: asyncio.Event) -> None:
        await timers.wait()
        await asyncio.sleep(self._rule.initial_timeout_s)
