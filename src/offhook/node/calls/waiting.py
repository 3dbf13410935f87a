"""Waiting for what others share: a waiter that is cancelled cancels nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["until_any"]


async def until_any(*futures: asyncio.Future[Any]) -> None:
    """Wait until one of these is done: ``asyncio.wait`` without its sets, for what every call does many times."""
    if any(future.done() for future in futures):
        return
    woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(_: asyncio.Future[Any]) -> None:
        if not woken.done():
            woken.set_result(None)

    for future in futures:
        future.add_done_callback(wake)
    try:
        await woken
    finally:
        for future in futures:
            future.remove_done_callback(wake)
