"""A wait for what will happen: as long as it takes, for nothing is judged by it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["until"]

PATIENCE_S = 60.0


async def until(holds: Callable[[], object], what: str) -> None:
    """Wait until it holds; ``what`` is told where it never does."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < PATIENCE_S, f"never: {what}"
        await asyncio.sleep(0.02)
