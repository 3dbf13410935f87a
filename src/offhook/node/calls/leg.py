"""One party's leg in the engine: operations go down by id, reports find their operation again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from offhook.errors import EngineLost
from offhook.node.calls.waiting import until_any
from offhook.node.engine.ops import (
    Append,
    Echo,
    LegAnswer,
    LegHangup,
    LegLabel,
    LegRing,
    Pause,
    Play,
    Record,
    Resume,
    SendDigits,
    Source,
    Stop,
    Volume,
)
from offhook.node.engine.port import EnginePort
from offhook.node.engine.reports import DigitReport, LegAnswered, LegChanged, LegEnded, OperationEnded, OperationStarted
from offhook.protocol.states import Direction

__all__ = ["EngineOperation", "Leg"]

T = TypeVar("T")
Startable = Play | Record | SendDigits | Echo


class EngineOperation:
    """A Play, Record, SendDigits or Echo that the engine was asked for."""

    def __init__(self, operation_id: int) -> None:
        loop = asyncio.get_running_loop()
        self.id = operation_id
        self.started: asyncio.Future[OperationStarted] = loop.create_future()
        self.ended: asyncio.Future[OperationEnded] = loop.create_future()

    @property
    def is_over(self) -> bool:
        """Whether the engine reported its end."""
        return self.ended.done()

    async def first_frame(self) -> bool:
        """Wait for the first frame; False when the operation ended before one."""
        await until_any(self.started, self.ended)
        return self.started.done()

    async def over(self) -> OperationEnded:
        """Wait for its end. A waiter that is cancelled changes nothing."""
        await until_any(self.ended)
        return self.ended.result()


class Leg:
    """A leg of the engine, by its id. All waits end when the leg does."""

    def __init__(self, engine: EnginePort, leg_id: str, direction: Direction) -> None:
        loop = asyncio.get_running_loop()
        self.id = leg_id
        self.direction = direction
        self.answered: asyncio.Future[LegAnswered] = loop.create_future()
        self.over: asyncio.Future[LegEnded] = loop.create_future()
        self.codec = ""
        """By its name in SDP, once media was settled; a re-INVITE may change it."""
        self._engine = engine
        self._operations: dict[int, EngineOperation] = {}
        self._listeners: list[Callable[[DigitReport], None]] = []

    def next_id(self) -> int:
        """A fresh operation id."""
        return self._engine.next_id()

    # --- commands on the leg ---------------------------------------------------------------------------------

    async def ring(self) -> None:
        """Send 180."""
        await self._engine.execute(LegRing(self.next_id(), self.id))

    async def answer(self, codecs: list[str]) -> None:
        """Send 200; ``answered`` tells when media flows."""
        await self._engine.execute(LegAnswer(self.next_id(), self.id, codecs))

    async def hang_up(self, status: int, reason: str) -> None:
        """End the leg the way its state asks for; ``over`` tells when it is gone."""
        await self._engine.execute(LegHangup(self.next_id(), self.id, status, reason))

    def label(self, text: str, *, patient: bool) -> None:
        """Leave a text with the leg for whoever adopts it."""
        if not self.over.done():
            self._engine.send(LegLabel(self.id, text), patient=patient)

    # --- operations ------------------------------------------------------------------------------------------

    async def start(self, operation: Startable) -> EngineOperation:
        """Start an operation and wait until the engine accepted it.

        A caller that is cancelled meanwhile leaves nothing running.

        Raises:
            EngineRefused: the engine said no.
            EngineLost: the engine went away.
        """
        running = EngineOperation(operation.id)
        self._operations[operation.id] = running
        try:
            await self._engine.execute(operation)
        except asyncio.CancelledError:
            self._engine.send(Stop(self.next_id(), operation.id))
            raise
        except EngineLost:  # it may have it all the same
            self._operations.pop(operation.id, None)
            self._engine.send(Stop(self.next_id(), operation.id))
            raise
        except BaseException:
            self._operations.pop(operation.id, None)
            raise
        return running

    def adopt(self, operation_id: int) -> EngineOperation:
        """Wait for the end of an operation that a former node started."""
        running = self._operations[operation_id] = EngineOperation(operation_id)
        return running

    async def append(self, running: EngineOperation, sources: list[Source], *, more: bool) -> None:
        """Add sources to a play that was started with ``more``."""
        await self._engine.execute(Append(self.next_id(), running.id, sources, more))

    async def stop(self, running: EngineOperation) -> OperationEnded:
        """Stop an operation and wait for its end."""
        if not running.is_over:
            try:
                await self._engine.execute(Stop(self.next_id(), running.id))
            except EngineLost:
                self._operations.pop(running.id, None)  # if it still runs when the engine is back, it is stopped
                raise
        return await running.over()

    def runs(self, operation_id: int) -> bool:
        """Whether somebody here waits for the end of an operation."""
        return operation_id in self._operations

    def abandon(self, running: EngineOperation) -> None:
        """Stop an operation without waiting."""
        if self._operations.pop(running.id, None) and not self.over.done():
            self._engine.send(Stop(self.next_id(), running.id))

    async def pause(self, running: EngineOperation, operation: Pause | None = None) -> None:
        """Pause a play or record."""
        await self._engine.execute(operation or Pause(self.next_id(), running.id))

    async def resume(self, running: EngineOperation) -> None:
        """Go on."""
        await self._engine.execute(Resume(self.next_id(), running.id))

    async def set_volume(self, running: EngineOperation, volume_db: float) -> None:
        """Change the volume of a play."""
        await self._engine.execute(Volume(self.next_id(), running.id, volume_db))

    # --- digits ----------------------------------------------------------------------------------------------

    @contextmanager
    def hear_digits(self, listener: Callable[[DigitReport], None]) -> Iterator[None]:
        """Call ``listener`` for every digit while the context lasts."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    # --- reports ---------------------------------------------------------------------------------------------

    def receive(
        self, report: LegAnswered | LegChanged | DigitReport | OperationStarted | OperationEnded | LegEnded
    ) -> None:
        """Take a report of this leg. Late ones and those with unknown ids end here."""
        match report:
            case LegAnswered(codec=codec):
                self.codec = codec
                _settle(self.answered, report)
            case LegChanged(codec=codec):
                self.codec = codec or self.codec
            case DigitReport():
                for listener in list(self._listeners):
                    listener(report)
            case OperationStarted(op=op):
                if running := self._operations.get(op):
                    _settle(running.started, report)
            case OperationEnded(op=op):
                if running := self._operations.pop(op, None):
                    _settle(running.ended, report)
            case LegEnded():
                self._close(report)

    def lose(self, detail: str) -> None:
        """The engine no longer has this leg."""
        self._close(LegEnded(leg=self.id, by="none", cause="error", reason=detail))

    def _close(self, report: LegEnded) -> None:
        cause = "error" if report.cause == "error" else "hangup"
        for running in self._operations.values():
            late = OperationEnded(op=running.id, leg=self.id, cause="hangup", detail=report.reason)
            _settle(running.ended, msgspec.structs.replace(late, cause=cause))
        self._operations.clear()
        _settle(self.over, report)


def _settle(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)
