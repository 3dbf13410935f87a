"""``make types`` fails for a line that should be refused and is not, and for one that should not be and is."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/check_types.py"
PROGRAMS: dict[str, Any] = runpy.run_path(str(SCRIPT), run_name="script")


def test_both_ways_of_being_wrong_are_told() -> None:
    wanted, found = {("a.py", 1), ("a.py", 2)}, [(("a.py", 2), "no such key"), (("a.py", 3), "no such method")]
    assert PROGRAMS["compare"]("mypy", wanted, found) == [
        "a.py:3: mypy: no such method",
        "a.py:1: mypy does not refuse this line",
    ]
    assert PROGRAMS["compare"]("mypy", {("a.py", 2)}, found[:1]) == []


def test_lines_are_marked_at_their_end() -> None:
    path = SCRIPT.parents[1] / "tests/types/refused.py"
    lines = path.read_text().splitlines()
    marked = PROGRAMS["marked"]([path])
    assert len(marked) > 50
    assert {number for _, number in marked} == {n for n, line in enumerate(lines, 1) if "# refused" in line}
