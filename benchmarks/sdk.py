"""CPU, latency and memory of the published SDK and ours for the same calls, over TLS on loopback, in one run."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from offhook.node.web.tls import LocalCertificates, server_context
from offhook.testing.node import ScriptedNode
from rig.node import ROOT

__all__ = ["compare_sdks"]

_AT_ONCE, _TURN, _LONE_TURNS = 20, 50, 8
_HELD_ROUNDS = 3
_LIMIT_S = 120
_APP, _FLOOR = "benchmarks.sdk_app", "benchmarks.sdk_floor"


class _Program:
    """A program and the scripted node of its own that calls it."""

    def __init__(self, node: ScriptedNode, process: asyncio.subprocess.Process) -> None:
        self._node = node
        self._process = process
        self._cpu_s = 0.0

    async def said(self) -> dict[str, float]:
        """The next figures; whatever else the program prints is not ours."""
        assert self._process.stdout is not None
        while text := await self._process.stdout.readline():
            if text.startswith(b"{"):
                figures: dict[str, float] = json.loads(text)
                return figures
        raise RuntimeError("the program ended before it said what it took")

    async def turn(self, at_once: int) -> tuple[float, float]:
        """One turn of calls: CPU of one in us, and how long one took, in ms."""
        room = asyncio.Semaphore(at_once)

        async def flow() -> float:
            async with room:
                began = time.monotonic()
                party = await self._node.offer()
                await self._node.settle(lambda: party.state.value == "ended", timeout_s=30)
                return (time.monotonic() - began) * 1000

        took_ms = await asyncio.gather(*(flow() for _ in range(_TURN)))
        before, self._cpu_s = self._cpu_s, (await self.said())["cpu_s"]
        return (self._cpu_s - before) * 1e6 / _TURN, statistics.median(took_ms)

    async def ring(self, calls: int) -> None:
        """Calls that nobody answers, not all in one piece: buffers that grew would count as theirs."""
        for _ in range(calls):
            await self._node.offer()
            await asyncio.sleep(0.0005)


def compare_sdks(calls: int, idle: int, work: Path) -> dict[str, Any]:
    """Receive, answer, play, playing, finished, end, ended: both SDKs and none live at once, in turns of 50 calls.

    The first turn of each warms it up and is not counted. ``cpu_us_per_call`` is the median turn of 20 calls at once,
    ``cpu_ratio`` the median of ours to theirs of neighbouring turns: a machine that slows down slows both. ``floor`` is
    a program without an SDK. ``flow_ms`` is how long a call takes, from the offer to ``ended``, with no other beside
    it, and ``lone_cpu_us_per_call`` its CPU: what is saved by waiting for more would be seen there.
    ``bytes_per_idle_call`` is what lives in Python for a call that does nothing; resident memory moves with garbage.
    """
    home = Path(os.environ.get("OFFHOOK_PUBLISHED_VENV", ROOT / ".cache" / "published"))
    programs = {
        "published": [str(home / "bin" / "python"), "-m", _APP, "signalwire.relay"],
        "ours": [sys.executable, "-m", _APP, "offhook"],
        "floor": [sys.executable, "-m", _FLOOR, "-"],
    }
    turns = max(2, calls // _TURN)
    starts, crowds, lone = asyncio.run(_take_turns(programs, turns, work))
    held: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
    for _ in range(_HELD_ROUNDS):
        for name, program in programs.items():
            held[name].append(asyncio.run(_hold(program, idle, work)))
    ratios = [ours / theirs for ours, theirs in zip(crowds["ours"], crowds["published"], strict=True)]
    floors = [floor / theirs for floor, theirs in zip(crowds["floor"], crowds["published"], strict=True)]
    return {
        "calls": turns * _TURN,
        **{
            name: {
                **_median([starts[name], *held[name]]),
                "cpu_us_per_call": statistics.median(crowds[name]),
                "lone_cpu_us_per_call": statistics.median(cpu_us for cpu_us, _ in lone[name]),
                "flow_ms": statistics.median(took_ms for _, took_ms in lone[name]),
            }
            for name in programs
        },
        "cpu_ratio": _spread(ratios),
        "cpu_ratio_of_floor": _spread(floors),
        "cpu_us_per_turn": crowds,
    }


async def _take_turns(
    programs: Mapping[str, list[str]], turns: int, work: Path
) -> tuple[dict[str, dict[str, float]], dict[str, list[float]], dict[str, list[tuple[float, float]]]]:
    """What each took to start; CPU of a call in each turn; CPU and time of one by itself.

    Ours is in the middle of each round, and the others change sides.
    """
    calls = (1 + turns + _LONE_TURNS) * _TURN
    crowds: dict[str, list[float]] = {name: [] for name in programs}
    lone: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    async with AsyncExitStack() as stack, asyncio.timeout(_LIMIT_S):
        lives = {name: await stack.enter_async_context(_started(one, calls, 0, work)) for name, one in programs.items()}
        starts = {name: await program.said() for name, program in lives.items()}
        for program in lives.values():
            await program.turn(_AT_ONCE)
        for number in range(turns):
            for name in _sides(lives, number):
                crowds[name].append((await lives[name].turn(_AT_ONCE))[0])
        for number in range(_LONE_TURNS):
            for name in _sides(lives, number):
                lone[name].append(await lives[name].turn(1))
    return starts, crowds, lone


def _sides(names: Mapping[str, object], number: int) -> Sequence[str]:
    first, *between, last = names
    return [first, *between, last] if number % 2 else [last, *between, first]


async def _hold(program: list[str], idle: int, work: Path) -> dict[str, float]:
    """What it took to start and what an idle call takes, in a process of its own: counting memory takes CPU."""
    async with _started(program, _TURN, idle, work) as one, asyncio.timeout(_LIMIT_S):
        figures = await one.said()
        await one.turn(_AT_ONCE)
        await one.said()
        await one.ring(idle)
        return figures | await one.said()


@asynccontextmanager
async def _started(program: list[str], calls: int, idle: int, work: Path) -> AsyncIterator[_Program]:
    certificates = LocalCertificates(work / "tls")
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    tls = server_context(certificates.chain_file, certificates.key_file)
    not_wanted = ("SIGNALWIRE_", "OFFHOOK_", "PYTHON")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(not_wanted)}
    paths = [str(ROOT), *([str(ROOT / "src")] if program[-1] == "offhook" else [])]
    async with ScriptedNode(tls=tls) as node:
        process = await asyncio.create_subprocess_exec(
            *program,
            *(str(number) for number in (calls, _TURN, idle)),
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
            yield _Program(node, process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def _median(figures: list[dict[str, float]]) -> dict[str, float]:
    keys = {key: [one[key] for one in figures if key in one] for key in {key for one in figures for key in one}}
    return {key: statistics.median(values) for key, values in sorted(keys.items())}


def _spread(ratios: list[float]) -> dict[str, float]:
    quarter, half, three_quarters = statistics.quantiles(ratios, n=4)
    return {"median": half, "quartile_1": quarter, "quartile_3": three_quarters}


def main() -> None:
    """``python -m benchmarks.sdk [CALLS]``: these figures alone."""
    with tempfile.TemporaryDirectory(prefix="offhook-bench-") as work:
        figures = compare_sdks(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, 900, Path(work))
    print(json.dumps({key: value for key, value in figures.items() if key != "cpu_us_per_turn"}, indent=2))


if __name__ == "__main__":
    main()
