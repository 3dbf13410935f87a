"""CPU and memory of the published SDK and ours for the same calls, over TLS on loopback, in one run."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from offhook.node.web.tls import LocalCertificates, server_context
from offhook.testing.node import ScriptedNode
from rig.node import ROOT

__all__ = ["compare_sdks"]

_AT_ONCE = 20
_ROUNDS = 3


def compare_sdks(calls: int, idle: int, work: Path) -> dict[str, Any]:
    """Receive, answer, play, playing, finished, end, ended; the SDKs in turns, medians of three."""
    home = Path(os.environ.get("OFFHOOK_PUBLISHED_VENV", ROOT / ".cache" / "published"))
    pythons = {"signalwire.relay": str(home / "bin" / "python"), "offhook": sys.executable}
    found: dict[str, list[dict[str, float]]] = {module: [] for module in pythons}
    for _ in range(_ROUNDS):
        for module, python in pythons.items():
            found[module].append(asyncio.run(_measure(module, python, calls // _ROUNDS, idle, work)))
    figures = {
        module: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        for module, rounds in found.items()
    }
    ours, theirs = figures["offhook"], figures["signalwire.relay"]
    return {
        "calls": calls // _ROUNDS * _ROUNDS,
        "published": theirs,
        "ours": ours,
        "cpu_ratio": ours["cpu_us_per_call"] / theirs["cpu_us_per_call"],
    }


async def _measure(module: str, python: str, calls: int, idle: int, work: Path) -> dict[str, float]:
    certificates = LocalCertificates(work / "tls")
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    tls = server_context(certificates.chain_file, certificates.key_file)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SIGNALWIRE_", "OFFHOOK_"))}
    paths = [str(ROOT), *([str(ROOT / "src")] if module == "offhook" else [])]
    async with ScriptedNode(tls=tls) as node:
        process = await asyncio.create_subprocess_exec(
            python,
            "-m",
            "benchmarks.sdk_app",
            module,
            str(calls),
            str(idle),
            cwd=work,
            env={
                **kept,
                "PYTHONPATH": os.pathsep.join(paths),
                "NODE_HOST": node.host,
                "SIGNALWIRE_RELAY_CA_FILE": str(certificates.ca_file),
                "SIGNALWIRE_LOG_LEVEL": "warning",
            },
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(120):
                return await _drive(node, process, calls, idle)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _drive(node: ScriptedNode, process: asyncio.subprocess.Process, calls: int, idle: int) -> dict[str, float]:
    figures = await _line(process)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one() -> None:
        async with turns:
            party = await node.offer()
            await node.settle(lambda: party.state.value == "ended", timeout_s=60)

    offering = asyncio.gather(*(one() for _ in range(calls)))
    figures |= await _line(process)
    await offering
    await _line(process)
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
