"""Run the benchmarks and write ``out/bench.json``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sysconfig
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.leaks import leaks, show_leaks
from benchmarks.sdk import compare_sdks
from benchmarks.yardstick import yardstick
from rig.load import Load, percentile
from rig.node import ROOT, running_node
from rig.usage import usage

Report = dict[str, Any]


def setups(rate: float, seconds: float, work: Path) -> Report:
    """Calls that a Python program answers, plays to and hangs up, at a steady rate."""
    with running_node(work, app=ROOT / "examples" / "greeter.py") as node:
        Load(node.sip(), 5, 5).run()
        before = usage(node)
        done = Load(node.sip(), rate, int(rate * seconds), limit_s=seconds + 30).run()
        spent = usage(node).since(before)
    good = [c for c in done if not c.failure]
    answer = [(c.answered_at - c.invited_at) * 1000 for c in good]
    audible = [(c.audible_at - c.answered_at) * 1000 for c in good if c.audible_at]
    return {
        "calls": len(done),
        "failed": len(done) - len(good),
        "failures": sorted({c.failure for c in done if c.failure}),
        "calls_per_s": rate,
        "invite_to_200_ms": {"p50": percentile(answer, 0.5), "p99": percentile(answer, 0.99)},
        "answer_to_audible_ms": {"p50": percentile(audible, 0.5), "p99": percentile(audible, 0.99)},
        "never_audible": len(good) - len(audible),
        "cpu_ms_per_call": {name: cpu * 1000 / len(done) for name, cpu in spent.items()},
    }


def held(calls: int, seconds: float, work: Path) -> Report:
    """Many calls at once, each playing and recording (both sides, stereo)."""
    ramp = 40.0
    with running_node(work, app=ROOT / "benchmarks" / "busy.py") as node:
        idle = usage(node)
        load = Load(node.sip(), ramp, calls, hold_s=seconds + calls / ramp, limit_s=seconds + 60)
        thread = threading.Thread(target=load.run)
        thread.start()
        all_up = load.peak.wait(calls / ramp + 20)
        before, began = usage(node), time.monotonic()
        time.sleep(max(1.0, seconds - 5))
        after, took = usage(node), time.monotonic() - began
        thread.join()
    spent = after.since(before)
    return {
        "calls": calls,
        "all_up": all_up,
        "failed": sum(1 for c in load.done if c.failure),
        "measured_s": took,
        "cpu_percent_of_a_core_per_call": {name: cpu / took / calls * 100 for name, cpu in spent.items()},
        "rss_kb_per_call": {n: (after.rss_bytes[n] - idle.rss_bytes.get(n, 0)) / calls / 1000 for n in after.rss_bytes},
        "packets": sum(c.received for c in load.done),
        "packets_lost": sum(c.lost for c in load.done),
        "packets_late_20_ms": sum(c.late for c in load.done),
        "largest_gap_ms": max((c.largest_gap_ms for c in load.done), default=0.0),
    }


def machine() -> Report:
    """Where the figures come from; they are only comparable with others of the same run."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    is_optimised = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    return {
        "cores": os.cpu_count(),
        "cpu": ", ".join(sorted(names)),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "system": platform.platform(),
        "python": f"{platform.python_version()}{'' if is_optimised else ', built without optimisations'}",
        "load_before": os.getloadavg()[0],
    }


def show(name: str, report: Report) -> None:
    print(f"\n{name}")
    for key, value in report.items():
        if isinstance(value, dict):
            value = "  ".join(f"{k} {_rounded(v)}" for k, v in value.items())  # noqa: PLW2901
        elif isinstance(value, float):
            value = f"{value:.3f}"  # noqa: PLW2901
        print(f"  {key:34} {value}")


def _rounded(value: float | list[float]) -> str:
    return f"{value:.3f}" if not isinstance(value, list) else f"{min(value):.0f}..{max(value):.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rate", type=float, default=50.0, help="calls a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the calls a second")
    parser.add_argument("--held", type=int, default=200, help="calls at once")
    parser.add_argument("--held-seconds", type=float, default=60.0)
    parser.add_argument("--sdk-calls", type=int, default=2000, help="calls of each SDK")
    given = parser.parse_args()
    reports: Report = {"machine": machine()}
    show("This machine", reports["machine"])
    with tempfile.TemporaryDirectory(prefix="offhook-bench-") as work:
        reports["set_ups"] = setups(given.rate, given.seconds, Path(work) / "a")
        reports["yardstick"] = yardstick(Path(work) / "tls", reports["set_ups"])
        show(f"{given.rate:g} calls a second for {given.seconds:g} s, answered by a Python program", reports["set_ups"])
        show("Beside a plain asyncio echo over TLS in the same run", reports["yardstick"])
        reports["held"] = held(given.held, given.held_seconds, Path(work) / "b")
        show(f"{given.held} calls at once, playing and recording, {given.held_seconds:g} s", reports["held"])
        reports["leaks"] = leaks(Path(work) / "d")
        show_leaks(reports["leaks"])
        (Path(work) / "c").mkdir()
        reports["sdks"] = compare_sdks(given.sdk_calls, 900, Path(work) / "c")
        show(f"the published SDK and ours, {given.sdk_calls} calls each, over TLS", reports["sdks"])
    out = ROOT / "out"
    out.mkdir(exist_ok=True)
    (out / "bench.json").write_text(json.dumps(reports, indent=2))
    print(f"\nwritten to {out / 'bench.json'}")


main()
