"""Put ``out/bench.json`` into the README: ``make bench && python -m benchmarks.readme``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BETWEEN = re.compile(r"(<!-- figures -->\n).*?(<!-- /figures -->\n)", re.DOTALL)


def table(report: dict[str, Any]) -> str:
    """The figures in Markdown."""
    machine, set_ups, held = report["machine"], report["set_ups"], report["held"]
    rate = f"{set_ups['calls_per_s']:g} calls/s, answered by a Python program"
    at_once = f"{held['calls']} calls at once, each playing and recording both sides"
    gaps = f"{held['packets_lost']}, {held['packets_late_20_ms']}, {held['largest_gap_ms']:.0f} ms"
    rows = {
        rate: f"{set_ups['calls']} calls, {set_ups['failed']} failed",
        "INVITE to 200": _percentiles(set_ups["invite_to_200_ms"]),
        "answer to the first audible packet": _percentiles(set_ups["answer_to_audible_ms"]),
        "CPU of such a call": _by_process(set_ups["cpu_ms_per_call"], "{:.1f} ms"),
        at_once: f"{held['packets']} packets, {held['failed']} calls failed",
        "packets lost, late by 20 ms, largest gap": gaps,
        "CPU of a call held, of one core": _by_process(held["cpu_percent_of_a_core_per_call"], "{:.3f} %"),
        "memory of a call held": _by_process(held["rss_kb_per_call"], "{:.0f} kB"),
    }
    rows |= _leaks(report["leaks"])
    rows |= _sdks(report["sdks"])
    lines = "".join(f"| {what} | {value} |\n" for what, value in rows.items())
    where = f"{machine['cores']} cores ({machine.get('cpu') or 'unknown'}), Python {machine['python']}"
    return f"Measured by it on {where}:\n\n| figure | value |\n|---|---|\n{lines}"


def _leaks(report: dict[str, Any]) -> dict[str, str]:
    """What was left of thousands of calls."""
    calls = ", ".join(f"{number} {name}" for name, number in report["calls"].items())
    grown = {name: mib for name, mib in report["grown_mib"].items() if abs(mib) >= 0.05}
    memory = ", ".join(f"{name} {mib:+.1f} MiB" for name, mib in sorted(grown.items(), key=lambda item: -item[1]))
    descriptors = sum(report["more_descriptors"].values())
    return {f"left of calls that are over ({calls})": f"{memory or 'nothing'}; {descriptors:+d} descriptors"}


def _sdks(report: dict[str, Any]) -> dict[str, str]:
    """Both SDKs and a bare client, for the same calls in one run."""
    programs = {"ours": "ours", "published": "the published SDK 3.7.5", "floor": "a client without SDK"}

    def beside(key: str, form: str) -> str:
        given = {name: report[name][key] for name in programs if key in report[name]}
        return ", ".join(f"{programs[name]} {form.format(value)}" for name, value in given.items())

    ratio = report["cpu_ratio"]
    spread = f"{ratio['median']:.2f}, half of them from {ratio['quartile_1']:.2f} to {ratio['quartile_3']:.2f}"
    return {
        f"CPU of the SDK for a call, {report['calls']} calls, 20 at once": beside("cpu_us_per_call", "{:.0f} µs"),
        "ours to theirs, in turns of 50 calls side by side": f"median {spread}",
        "CPU of the SDK for a call by itself": beside("lone_cpu_us_per_call", "{:.0f} µs"),
        "from offer to `ended`, one call by itself": beside("flow_ms", "{:.2f} ms"),
        "memory of an idle call, objects that live": beside("bytes_per_idle_call", "{:.0f} B"),
        "CPU of the import; until connected": f"{beside('import_ms', '{:.0f} ms')}; {beside('start_ms', '{:.0f} ms')}",
    }


def _percentiles(figures: dict[str, float]) -> str:
    return f"p50 {figures['p50']:.1f} ms, p99 {figures['p99']:.1f} ms"


def _by_process(figures: dict[str, float], form: str) -> str:
    """What is not nothing, the largest first."""
    shown = {name: form.format(value) for name, value in sorted(figures.items(), key=lambda item: -item[1])}
    return ", ".join(f"{name} {text}" for name, text in shown.items() if text.strip(" %0.kBms"))


def main() -> None:
    readme = ROOT / "README.md"
    figures = table(json.loads((ROOT / "out/bench.json").read_text()))
    text, count = BETWEEN.subn(lambda found: found[1] + figures + found[2], readme.read_text())
    if count != 1:
        raise SystemExit("README.md has no <!-- figures --> ... <!-- /figures -->")
    readme.write_text(text)


if __name__ == "__main__":
    main()
