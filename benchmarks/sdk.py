"""CPU and memory of the published SDK and ours for the same calls, over TLS on loopback, in one run."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from offhook.node.web.tls import LocalCertificates, server_context
from offhook.testing.node import ScriptedNode
from rig.node import ROOT

__all__ = ["compare_sdks"]

_AT_ONCE, _ALONE = 20, 50
_ROUNDS = 5
_APP, _FLOOR = "benchmarks.sdk_app", "benchmarks.sdk_floor"


def compare_sdks(calls: int, idle: int, work: Path) -> dict[str, Any]:
    """Receive, answer, play, playing, finished, end, ended: both SDKs and none, in turns, five rounds.

    CPU is that of the round that other processes disturbed least, all else the median; ``cpu_us_per_round`` has all.
    ``floor`` is a program without an SDK. ``flow_ms`` is how long a call takes, from the offer to ``ended``, with no
    other beside it: CPU saved by waiting would be seen there.
    """
    home = Path(os.environ.get("OFFHOOK_PUBLISHED_VENV", ROOT / ".cache" / "published"))
    programs = {
        "published": [str(home / "bin" / "python"), "-m", _APP, "signalwire.relay"],
        "ours": [sys.executable, "-m", _APP, "offhook"],
        "floor": [sys.executable, "-m", _FLOOR, "-"],
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
    for _ in range(_ROUNDS):
        for name, program in programs.items():
            loaded = asyncio.run(_measure(program, calls // _ROUNDS, _ALONE, 1, work))
            held = asyncio.run(_measure(program, _AT_ONCE, 0, idle, work))
            found[name].append({**loaded, "bytes_per_idle_call": held["bytes_per_idle_call"]})
    figures = {
        name: {
            **{key: statistics.median(one[key] for one in rounds) for key in rounds[0]},
            "cpu_us_per_call": min(one["cpu_us_per_call"] for one in rounds),
        }
        for name, rounds in found.items()
    }
    theirs_us = figures["published"]["cpu_us_per_call"]
    return {
        "calls": calls // _ROUNDS * _ROUNDS,
        **figures,
        "cpu_ratio": figures["ours"]["cpu_us_per_call"] / theirs_us,
        "cpu_ratio_of_floor": figures["floor"]["cpu_us_per_call"] / theirs_us,
        "cpu_us_per_round": {name: [one["cpu_us_per_call"] for one in rounds] for name, rounds in found.items()},
    }


async def _measure(program: list[str], calls: int, alone: int, idle: int, work: Path) -> dict[str, float]:
    certificates = LocalCertificates(work / "tls")
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    tls = server_context(certificates.chain_file, certificates.key_file)
    not_wanted = ("SIGNALWIRE_", "OFFHOOK_", "PYTHON")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(not_wanted)}
    paths = [str(ROOT), *([str(ROOT / "src")] if program[-1] == "offhook" else [])]
    async with ScriptedNode(tls=tls) as node:
        process = await asyncio.create_subprocess_exec(
            *program,
            str(calls),
            str(alone),
            str(idle),
            cwd=work,
            env={
                **kept,
                "PYTHONPATH": os.pathsep.join(paths),
                "PYTHONPYCACHEPREFIX": str(work / "bytecode"),
                "NODE_HOST": node.host,
                "SIGNALWIRE_RELAY_CA_FILE": str(certificates.ca_file),
                "SIGNALWIRE_LOG_LEVEL": "warning",
            },
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(120):
                return await _drive(node, process, calls, alone, idle)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _drive(
    node: ScriptedNode, process: asyncio.subprocess.Process, calls: int, alone: int, idle: int
) -> dict[str, float]:
    figures = await _line(process)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def flow() -> float:
        async with turns:
            began = time.monotonic()
            party = await node.offer()
            await node.settle(lambda: party.state.value == "ended", timeout_s=60)
            return (time.monotonic() - began) * 1000

    offering = asyncio.gather(*(flow() for _ in range(calls)))
    figures |= await _line(process)
    await offering
    if alone:
        figures["flow_ms"] = statistics.median([await flow() for _ in range(alone)])
    for _ in range(idle):
        await node.offer()
    return figures | await _line(process)


async def _line(process: asyncio.subprocess.Process) -> dict[str, float]:
    """The next figures; whatever else the program prints is not ours."""
    assert process.stdout is not None
    while text := await process.stdout.readline():
        if text.startswith(b"{"):
            figures: dict[str, float] = json.loads(text)
            return figures
    raise RuntimeError("the program ended before it said what it took")
