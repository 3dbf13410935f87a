"""One SDK at work: ``python -m benchmarks.sdk_app MODULE CALLS ALONE IDLE``; MODULE ``offhook`` or the published.

Answers, plays and hangs up CALLS calls that come together and ALONE calls that come one by one, then keeps IDLE calls
and does nothing. Prints what it took, one JSON object a phase.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def say(**figures: Any) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


async def main() -> None:
    before = time.process_time()
    module = importlib.import_module(sys.argv[1])
    import_ms = (time.process_time() - before) * 1000
    calls, alone, idle = (int(number) for number in sys.argv[2:])
    client = module.RelayClient(project="project", token="token", host=os.environ["NODE_HOST"], contexts=["default"])
    loop = asyncio.get_running_loop()
    served, kept = loop.create_future(), loop.create_future()
    count = 0

    @client.on_call
    async def handle(call: Any) -> None:
        nonlocal count
        if count < calls + alone:
            await call.answer()
            action = await call.play([{"type": "silence", "params": {"duration": 1}}])
            await action.wait()
            await call.hangup()
            await call.wait_for_ended()
        count += 1
        if count == calls:
            served.set_result(None)
        if count == calls + alone + idle:
            kept.set_result(None)

    await client.connect()
    say(import_ms=import_ms, start_ms=time.process_time() * 1000)
    before = time.process_time()
    await served
    say(cpu_us_per_call=(time.process_time() - before) * 1e6 / calls)
    resident = resident_bytes()
    await kept
    say(bytes_per_idle_call=(resident_bytes() - resident) / idle)
    await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
