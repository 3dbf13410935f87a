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
    """Receive, answer, play, playing, finished, end, ended: both SDKs and none, in turns, medians of three.

    ``floor`` is a program that says the same without an SDK: what the loop, TLS, WebSocket and JSON cost alone.
    """
    home = Path(os.environ.get("OFFHOOK_PUBLISHED_VENV", ROOT / ".cache" / "published"))
    programs = {
        "published": [str(home / "bin" / "python"), "-m", "benchmarks.sdk_app", "signalwire.relay"],
        "ours": [sys.executable, "-m", "benchmarks.sdk_app", "offhook"],
        "floor": [sys.executable, "-m", "benchmarks.sdk_floor", "-"],
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
    for _ in range(_ROUNDS):
        for name, program in programs.items():
            found[name].append(asyncio.run(_measure(program, calls // _ROUNDS, idle, work)))
    figures = {
        name: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        for name, rounds in found.items()
    }
    theirs_us = figures["published"]["cpu_us_per_call"]
    return {
        "calls": calls // _ROUNDS * _ROUNDS,
        **figures,
        "cpu_ratio": figures["ours"]["cpu_us_per_call"] / theirs_us,
        "cpu_ratio_of_floor": figures["floor"]["cpu_us_per_call"] / theirs_us,
    }


async def _measure(program: list[str], calls: int, idle: int, work: Path) -> dict[str, float]:
    certificates = LocalCertificates(work / "tls")
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    tls = server_context(certificates.chain_file, certificates.key_file)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SIGNALWIRE_", "OFFHOOK_"))}
    paths = [str(ROOT), *([str(ROOT / "src")] if program[-1] == "offhook" else [])]
    async with ScriptedNode(tls=tls) as node:
        process = await asyncio.create_subprocess_exec(
            *program,
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
