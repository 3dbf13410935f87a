"""What calls that are over leave behind in each process of a node that serves, and in its program."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from rig.leaks import Round, left, stage

__all__ = ["leaks", "show_leaks"]

RATE = 40.0
WARM_UP = {"answered": 2000, "spoken to and recorded": 100, "refused": 400, "abandoned": 400, "failed": 100}
"""Longer than the engine keeps what it knows of ended calls, so that every table has its size."""
SERIES = {"answered": 2000, "spoken to and recorded": 200, "refused": 500, "abandoned": 500, "failed": 200}


def leaks(work: Path) -> dict[str, Any]:
    """A warm-up, then one series after another; what each process held before and after each."""
    with stage(work) as held:
        held.holdings()
        before = held.counts()
        rounds = {"warm-up": held.measured(WARM_UP, RATE)}
        warm = held.settled(before)
        rounds |= {name: held.measured({name: calls}, RATE) for name, calls in SERIES.items()}
        rounds["all of them at once"] = held.measured(_mixed(), RATE)
        counts = held.settled(before)
    first, last = rounds["warm-up"].after, held.last or {}
    return {
        "calls": SERIES,
        "rounds": {name: _figures(one) for name, one in rounds.items()},
        "grown_mib": {name: (last[name].private_kib - was.private_kib) / 1024 for name, was in first.items()},
        "more_descriptors": {name: last[name].descriptors - was.descriptors for name, was in first.items()},
        "left": left(before, counts),
        "counts": counts,
        "more_blocks": {name: counts[name]["blocks"] - warm[name]["blocks"] for name in ("node", "program")},
        "wrong": sum(one.wrong.total() for one in rounds.values()),
    }


def _mixed() -> dict[str, int]:
    """A fifth of each series."""
    return {name: calls // 5 for name, calls in SERIES.items()}


def _figures(one: Round) -> dict[str, Any]:
    return {
        "calls": one.calls,
        "before": {name: dataclasses.asdict(held) for name, held in one.before.items()},
        "after": {name: dataclasses.asdict(held) for name, held in one.after.items()},
        "grown_mib": one.grown_mib,
        "more_descriptors": one.more_descriptors,
        "wrong": dict(one.wrong),
    }


def show_leaks(report: dict[str, Any]) -> None:
    """A line for each series and process: MiB of its own, PSS, RSS and descriptors after it, and what it grew by."""
    print("\nMemory (MiB) and descriptors after each series and a rest")
    print(f"  {'':24} {'':12} {'own':>7} {'PSS':>7} {'RSS':>7} {'fds':>5}   grown")
    for series, one in report["rounds"].items():
        for process, held in one["after"].items():
            sizes = (held[f"{what}_kib"] / 1024 for what in ("private", "pss", "rss"))
            columns = " ".join(f"{size:7.1f}" for size in sizes)
            grown = f"{one['grown_mib'][process]:+7.2f} MiB {one['more_descriptors'][process]:+d}"
            print(f"  {series:24} {process:12} {columns} {held['descriptors']:5} {grown}")
        for ended, number in one["wrong"].items():
            print(f"  {series:24} {number} calls ended otherwise: {ended}")
    engine = ", ".join(f"{number} {what}" for what, number in report["counts"]["engine"].items())
    print(f"  The engine holds in the end: {engine}")
    print(f"  Left in any process, of what calls make: {report['left'] or 'nothing'}")
    for process, blocks in report["more_blocks"].items():
        print(f"  {process:12} {blocks:+d} blocks of Python's allocator since the warm-up")
