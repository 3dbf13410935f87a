"""Calls that are over leave nothing behind: no memory and no descriptor, in any process of a node, nor in its program.

``make bench`` does it with 2,000 answered, 500 refused, 500 abandoned and 200 failed calls, and prints the figures.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rig.leaks import FORGOTTEN_S, QUIET_S, Round, left, stage

pytestmark = pytest.mark.timeout(400)

SERIES = {"answered": 360, "spoken to and recorded": 30, "refused": 90, "abandoned": 90, "failed": 30}
RATE = 50.0
ROUNDS = 4
"""What leaks grows in each of them; what a busy machine made a process hold once does not."""
MOST_MIB = 3.0
"""A process may hold so much more after the 600 calls of a round: 5 KiB for each."""
MOST_BLOCKS = 6_000
"""So many blocks of Python's allocator may live more after the calls of a round: 10 for each.

One call that is kept has hundreds."""
MOST_DESCRIPTORS = 3
"""The journal's files come and go."""


def is_flat(rounds: list[Round], process: str) -> bool:
    return any(
        one.grown_mib[process] < MOST_MIB and abs(one.more_descriptors[process]) <= MOST_DESCRIPTORS for one in rounds
    )


def table(rounds: list[Round]) -> str:
    lines = [f"{len(rounds)} rounds of {sum(SERIES.values())} calls; MiB and descriptors more after each:"]
    for process in rounds[0].before:
        figures = (f"{one.grown_mib[process]:+6.2f} {one.more_descriptors[process]:+3d}" for one in rounds)
        lines.append(f"  {process:12} {', '.join(figures)}")
    return "\n".join(lines)


def test_calls_of_every_kind_leave_neither_memory_nor_descriptors_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first round fills what is filled once: caches, pools, and as much of the past as is kept.

    Exact counts (``held`` in the log, on SIGUSR1) are those of before the first call again: in the engine legs,
    dialogs, transactions, media streams, ports, operations and all that is remembered beside them are 0; in node and
    program no object of any class of ours is left.

    A measured round begins when most of the calls before it are forgotten: what it fills again has room.
    """
    with stage(tmp_path) as held:
        held.holdings()
        before = held.counts()
        first = held.measured(SERIES, RATE, FORGOTTEN_S)
        was = held.counts()
        rounds = [held.measured(SERIES, RATE)]
        while len(rounds) < ROUNDS and not all(is_flat(rounds, name) for name in first.before):
            time.sleep(FORGOTTEN_S - QUIET_S)
            rounds.append(held.measured(SERIES, RATE))
        counts = held.settled(before)
    more_blocks = {name: counts[name]["blocks"] - was[name]["blocks"] for name in ("node", "program")}
    with capsys.disabled():
        print(f"\n{table(rounds)}\n  Python's blocks more, by process: {more_blocks}")
    assert left(before, counts) == {}, "exact counts: none of a call is left"
    assert not any(counts["engine"].values()), counts["engine"]
    for name, more in more_blocks.items():
        assert more < MOST_BLOCKS * len(rounds), f"{name}: {more} blocks of Python's allocator more"
    for one in (first, *rounds):
        assert set(one.wrong) <= {ended for ended in one.wrong if ": SIP/2.0 503 Too many calls" in ended}, one.wrong
        assert one.wrong.total() < sum(SERIES.values()) / 2, one.wrong
    for process in first.before:
        assert is_flat(rounds, process), f"{process} holds more after each round\n{table(rounds)}"
