"""What a test opened, so that a test that fails half-way leaves nothing open."""

from __future__ import annotations

import asyncio
import weakref
from typing import Protocol, TypeVar

__all__ = ["close_all", "remember"]


class Closeable(Protocol):
    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=Closeable)
_opened: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, list[Closeable]] = weakref.WeakKeyDictionary()


def remember(opened: Opened) -> Opened:
    """Keep it until the test that runs on this event loop has ended."""
    _opened.setdefault(asyncio.get_running_loop(), []).append(opened)
    return opened


def close_all() -> None:
    """Close what was opened on this event loop; closing twice is harmless."""
    for opened in _opened.pop(asyncio.get_running_loop(), []):
        opened.close()
