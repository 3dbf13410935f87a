"""sipp, 20 calls a second for 20 s, each answered by a Python program; latency by a probe beside it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rig.load import Load, percentile
from rig.node import ROOT, processes_of, running_node
from rig.sipp import run_sipp

pytestmark = [pytest.mark.peers, pytest.mark.timeout(120)]

RATE, SECONDS = 20, 20


async def test_twenty_calls_a_second_all_work(tmp_path: Path) -> None:
    with running_node(tmp_path / "node", app=ROOT / "examples" / "greeter.py") as node:
        before = {s.pid: s for s in processes_of(node.process.pid)}
        probe = Load(node.sip(), 3.0, 3 * SECONDS, limit_s=60)
        probing = asyncio.create_task(asyncio.to_thread(probe.run))
        calls = RATE * SECONDS
        result = await run_sipp("short_call", node.sip(), tmp_path, m=calls, r=RATE, timeout=60, l=400)
        await probing
        after = {s.pid: s for s in processes_of(node.process.pid)}
    total = calls + len(probe.done)
    assert (result.successful, result.failed) == (calls, 0), result.output
    assert [c.failure for c in probe.done if c.failure] == []
    answer = [(c.answered_at - c.invited_at) * 1000 for c in probe.done]
    audible = [(c.audible_at - c.answered_at) * 1000 for c in probe.done if c.audible_at]
    print(f"INVITE to 200: p50 {percentile(answer, 0.5):.1f} ms, p99 {percentile(answer, 0.99):.1f} ms ({len(answer)})")
    print(f"answer to audible: p50 {percentile(audible, 0.5):.1f} ms, p99 {percentile(audible, 0.99):.1f} ms")
    for pid, stat in after.items():
        spent = stat.cpu_s - (before[pid].cpu_s if pid in before else 0.0)
        print(f"CPU a call: {spent * 1000 / total:.2f} ms  {stat.cmdline[:80]}")
    assert len(audible) == len(probe.done)
    assert result.retransmissions <= calls // 100
