"""One SDK at work: ``python -m benchmarks.sdk_app MODULE CALLS TURN IDLE``; MODULE ``offhook`` or the published.

Answers, plays and hangs up CALLS calls, then keeps IDLE calls and does nothing. Prints what it took to start, after
each TURN calls its CPU so far, and what an idle call takes, one JSON object each.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import sys
import time
import tracemalloc
from typing import Any


async def say_memory(served: asyncio.Future[None], kept: asyncio.Future[None], idle: int) -> None:
    """Say that the calls served have left nothing more behind, then what lives for each of the calls kept."""
    tracemalloc.start()
    before = await _live_bytes(served)
    say(live_bytes=before)
    say(bytes_per_idle_call=(await _live_bytes(kept) - before) / idle)


async def _live_bytes(reached: asyncio.Future[None]) -> int:
    """What lives in this process of what was traced, a moment after this was reached."""
    await reached
    await asyncio.sleep(0.2)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def say(**figures: Any) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


async def main() -> None:
    before = time.process_time()
    module = importlib.import_module(sys.argv[1])
    import_ms = (time.process_time() - before) * 1000
    calls, turn, idle = (int(number) for number in sys.argv[2:])
    client = module.RelayClient(project="project", token="token", host=os.environ["NODE_HOST"], contexts=["default"])
    served, kept = (asyncio.get_running_loop().create_future() for _ in range(2))
    count = 0

    @client.on_call
    async def handle(call: Any) -> None:
        nonlocal count
        if count < calls:
            await call.answer()
            action = await call.play([{"type": "silence", "params": {"duration": 1}}])
            await action.wait()
            await call.hangup()
            await call.wait_for_ended()
        count += 1
        if count <= calls and count % turn == 0:
            say(cpu_s=time.process_time())
        if count == calls:
            served.set_result(None)
        elif count == calls + idle:
            kept.set_result(None)

    await client.connect()
    say(import_ms=import_ms, start_ms=time.process_time() * 1000)
    if idle:
        await say_memory(served, kept, idle)
    await served
    await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
