"""Strangers at the door: 1,000 silent sockets, half headers, floods of pings, of large frames, of unfinished ones.

No call is refused, audio goes on, a client works and a new one connects, on a node that has 1,024 descriptors. Judged
by counts, and by ratios to the same node without them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from rig.besieged import measure
from rig.node import ROOT, running_node
from rig.strangers import MANY

SECONDS = float(os.environ.get("OFFHOOK_SIEGE_SECONDS", "12"))
pytestmark = [pytest.mark.judges_time, pytest.mark.timeout(int(6 * SECONDS + 240))]


async def test_strangers_take_nothing_from_calls_and_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OFFHOOK_COMMAND", f"prlimit --nofile=1024:1024 {sys.executable} -m offhook.node.cli")
    with running_node(tmp_path / "node", app=ROOT / "benchmarks" / "busy.py") as node:
        alone = await measure(node, SECONDS / 2, calls_per_s=2, with_strangers=False)
        besieged = await measure(node, SECONDS, calls_per_s=2, with_strangers=True)
        log = node.log()
    with capsys.disabled():
        print(f"\nalone:    {alone}\nbesieged: {besieged}")
    assert (alone.failures, besieged.failures) == ([], [])
    assert len(besieged.calls) == int(SECONDS * 2)
    assert all(call.received for call in besieged.calls)
    assert besieged.lost <= besieged.packets // 100
    assert besieged.strangers["silent"] >= MANY
    assert min(besieged.strangers[kind] for kind in ("half headers", "pings", "big frames", "unfinished")) >= 2
    assert besieged.ping_ms < max(100.0, 20 * alone.ping_ms)
    assert len(besieged.pings) >= len(alone.pings) // 4, "each of them is answered before the next is sent"
    assert len(besieged.connects) >= SECONDS / 4
    if SECONDS >= 60:  # on a machine that has nothing else to do
        assert max(besieged.gaps_ms) < 100
        assert besieged.ping_ms < 100
    assert "free space" not in log
    assert "Traceback" not in log
    assert len(log) < 300_000, "strangers do not fill a disk with our words"
