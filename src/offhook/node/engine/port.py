"""What the node needs of an engine. ``process.py`` is the real one, ``offhook.testing`` has a fake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from offhook.errors import EngineLost
from offhook.node.engine.ops import AnyOperation
from offhook.node.engine.reports import AnyReport, Welcome

__all__ = ["EnginePort", "LostSink", "ReportSink"]

ReportSink = Callable[[AnyReport], None]
"""Called in the loop, in order, for every report but replies. Must not block or raise."""

LostSink = Callable[[EngineLost], None]
"""Called in the loop, once per ``start``, when the connection is gone (not after ``close``). Must not block or raise.

Nothing more comes until ``start`` is called again; operations raise EngineLost meanwhile. A ``Welcome.boot`` other
than before tells that the engine was started anew: its legs are gone. Report numbers grow over starts of the
engine, so that an old ``last_seq`` never hides a new report.
"""


class EnginePort(Protocol):
    """A connected engine."""

    prompts: Path
    """Directory of audio to play; the node writes, the engine reads."""
    recordings: Path
    """Directory of recordings; the engine writes, the node reads."""

    def next_id(self) -> int:
        """A fresh operation id."""
        ...

    async def start(self, sink: ReportSink, *, last_seq: int = 0, on_lost: LostSink | None = None) -> Welcome:
        """Connect (or connect again, after a loss) and hand reports to ``sink``, from the one after ``last_seq`` on.

        The first report comes in the loop's next turn after this returned: whoever awaits it sees the snapshot first.
        Whoever journalled a report says so with ``send(Ack(seq))``.

        Raises:
            offhook.errors.EngineLost: no engine took the connection in time, or it refused us; says why.
        """
        ...

    async def execute(self, operation: AnyOperation) -> None:
        """Send an operation that has an ``id`` and wait for its Reply.

        Raises:
            offhook.errors.EngineRefused: the engine said no; ``code`` and ``message`` say why.
            offhook.errors.EngineLost: the connection went before the reply came.
        """
        ...

    def send(self, operation: AnyOperation, *, patient: bool = False) -> None:
        """Send an operation that has no reply (Ack, LegLabel, Credit, Pcm). Never waits.

        It leaves before the operation after it; ``patient``: it may wait for that, or 10 ms.
        """
        ...

    async def close(self) -> None:
        """Let go of the engine."""
        ...
