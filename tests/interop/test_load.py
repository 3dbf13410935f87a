"""sipp, 20 calls a second for 20 s, each answered by a Python program; latency by a probe beside it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rig.load import Load, percentile
from rig.node import ROOT, running_node
from rig.sipp import run_sipp
from rig.usage import usage

pytestmark = [pytest.mark.peers, pytest.mark.judges_time]

RATE, SECONDS = 20, 20


async def test_twenty_calls_a_second_all_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls = RATE * SECONDS
    with running_node(tmp_path / "node", app=ROOT / "examples" / "greeter.py") as node:
        before = usage(node)
        probe = Load(node.sip(), 3.0, 3 * SECONDS, limit_s=60)
        probing = asyncio.create_task(asyncio.to_thread(probe.run))
        result = await run_sipp("short_call", node.sip(), tmp_path, m=calls, r=RATE, timeout=60, l=400)
        await probing
        spent = usage(node).since(before)
    assert (result.successful, result.failed) == (calls, 0), result.output
    assert [c.failure for c in probe.done if c.failure] == []
    assert len(probe.done) == 3 * SECONDS
    assert all(c.audible_at for c in probe.done)
    assert result.retransmissions <= calls // 100
    answer = [(c.answered_at - c.invited_at) * 1000 for c in probe.done]
    audible = [(c.audible_at - c.answered_at) * 1000 for c in probe.done]
    cpu_ms = {name: cpu_s * 1000 / (calls + len(probe.done)) for name, cpu_s in spent.items()}
    with capsys.disabled():
        print(f"\n{calls} calls by sipp and {len(probe.done)} of a probe, 0 failed")
        print(f"INVITE to 200:     p50 {percentile(answer, 0.5):5.1f} ms, p99 {percentile(answer, 0.99):5.1f} ms")
        print(f"answer to audible: p50 {percentile(audible, 0.5):5.1f} ms, p99 {percentile(audible, 0.99):5.1f} ms")
        parts = ", ".join(f"{name} {cpu:.2f}" for name, cpu in cpu_ms.items())
        print(f"CPU a call: {sum(cpu_ms.values()):.2f} ms ({parts})")
