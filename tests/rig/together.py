"""Long scenarios side by side: each is started with the first and judged by a test of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["Together"]


class Together:
    """One event loop in a thread that runs coroutines until their tests ask for the outcome."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="long scenarios", daemon=True)
        self._thread.start()
        self._running: dict[str, concurrent.futures.Future[Any]] = {}

    def start(self, name: str, scenario: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._running[name] = asyncio.run_coroutine_threadsafe(scenario(), self._loop)

    def outcome(self, name: str, within_s: float) -> Any:
        """What the scenario returned; raises what it raised."""
        return self._running[name].result(within_s)

    def close(self) -> None:
        for future in self._running.values():
            future.cancel()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.1), self._loop).result(5)  # what was closed gets closed
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
