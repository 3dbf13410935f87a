"""What the node needs of an engine. ``process.py`` is the real one, ``offhook.testing`` has a fake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from offhook.node.engine.ops import AnyOperation, AnyReport, Welcome

__all__ = ["EnginePort", "ReportSink"]

ReportSink = Callable[[AnyReport], None]
"""Called in the loop, in order, for every report but replies. Must not block or raise."""


class EnginePort(Protocol):
    """A connected engine."""

    prompts: Path
    """Directory of audio to play; the node writes, the engine reads."""
    recordings: Path
    """Directory of recordings; the engine writes, the node reads."""

    def next_id(self) -> int:
        """A fresh operation id."""
        ...

    async def start(self, sink: ReportSink, *, last_seq: int = 0) -> Welcome:
        """Connect (and reconnect, after the engine was started again) and hand reports to ``sink``."""
        ...

    async def execute(self, operation: AnyOperation) -> None:
        """Send an operation that has an ``id`` and wait for its Reply.

        Raises:
            offhook.errors.EngineRefused: the engine said no; ``code`` and ``message`` say why.
            offhook.errors.EngineLost: the connection went before the reply came.
        """
        ...

    def send(self, operation: AnyOperation) -> None:
        """Send an operation that has no reply (Ack, LegLabel, Credit, Pcm). Never waits."""
        ...

    async def close(self) -> None:
        """Let go of the engine."""
        ...
