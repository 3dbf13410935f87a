"""What counts as old when somebody sets the clock: nothing is deleted for good by a clock that is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.errors import MachineError
from offhook.node.state.housekeeping import Housekeeping, MachineTime, TrustedTime, machine_time, trusted

HOUR_S, DAY_S = 3600.0, 86400.0
T0 = 1_800_000_000.0


class Machine:
    """A machine whose clock can be set, with a node that keeps house for 30 days."""

    def __init__(self, directory: Path) -> None:
        self.wall, self.uptime_s, self.boot = T0, 1000.0, "boot-1"
        self.recordings = directory / "recordings"
        self.recordings.mkdir()
        self.house = Housekeeping(
            self.recordings,
            directory / "housekeeping.json",
            30.0,
            lambda: None,
            lambda: MachineTime(self.wall, self.boot, self.uptime_s),
        )

    def passes(self, seconds: float, *, every_s: float = 6 * HOUR_S) -> int:
        """Time passes with some runs; how many files went."""
        gone = 0
        for _ in range(int(seconds // every_s)):
            self.wall += every_s
            self.uptime_s += every_s
            gone += self.house.tidy()
        return gone

    def record(self, name: str = "r.wav") -> None:
        (self.recordings / name).touch()
        os.utime(self.recordings / name, (self.wall, self.wall))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.record()
    made.house.tidy()
    return made


def test_what_is_older_than_it_may_be_is_removed_and_nothing_else(machine: Machine) -> None:
    assert machine.passes(29 * DAY_S) == 0
    machine.record("young.wav")
    assert machine.passes(2 * DAY_S) == 1
    assert [path.name for path in machine.recordings.iterdir()] == ["young.wav"]


@pytest.mark.parametrize("step", [HOUR_S, -HOUR_S, 31 * DAY_S, -400 * DAY_S, 20 * 365 * DAY_S])
def test_a_clock_that_is_set_deletes_nothing(machine: Machine, step: float) -> None:
    machine.wall += step
    assert machine.house.tidy() == 0
    assert machine.passes(6 * DAY_S) == 0
    machine.wall -= step
    assert machine.passes(20 * DAY_S) == 0
    assert machine.passes(14 * DAY_S) == 1


def test_a_node_that_starts_with_a_clock_31_days_ahead_deletes_nothing(machine: Machine) -> None:
    """All recordings went at once."""
    machine.boot, machine.uptime_s = "boot-2", 5.0
    machine.wall += 31 * DAY_S
    assert machine.house.tidy() == 0
    assert machine.passes(6 * DAY_S) == 0


def test_the_first_start_of_all_with_a_clock_31_days_ahead_deletes_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.record()
    machine.wall += 31 * DAY_S
    assert machine.house.tidy() == 0
    assert machine.passes(5 * DAY_S) == 0


def test_a_first_start_without_recordings_has_nothing_to_doubt(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert trusted(None, MachineTime(T0, "b", 1.0), 0.0).now == T0
    assert machine.house.tidy() == 0


def test_a_clock_that_was_set_right_is_believed_after_a_week(machine: Machine) -> None:
    """A machine without a battery starts years ago; what it recorded then does not stay for years."""
    machine.wall += 2 * 365 * DAY_S
    assert machine.passes(6.9 * DAY_S) == 0
    assert machine.passes(0.6 * DAY_S) == 1


def test_a_clock_that_is_set_again_and_again_is_not_believed(machine: Machine) -> None:
    for _ in range(20):
        machine.wall += 31 * DAY_S
        assert machine.passes(DAY_S) == 0


def test_a_machine_that_was_off_for_a_month_deletes_a_week_later(machine: Machine) -> None:
    machine.boot, machine.uptime_s = "boot-2", 5.0
    machine.wall += 40 * DAY_S
    assert machine.passes(6 * DAY_S) == 0
    assert machine.passes(2 * DAY_S) == 1


def test_nothing_is_removed_when_the_time_cannot_be_kept(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MachineError("housekeeping.json cannot be written: No space left on device")

    monkeypatch.setattr("offhook.node.state.housekeeping.write_private", refuse)
    machine.wall += 40 * DAY_S
    machine.uptime_s += 40 * DAY_S
    with pytest.raises(MachineError):
        machine.house.tidy()
    assert list(machine.recordings.iterdir())


def test_what_is_kept_of_time_may_be_damaged(machine: Machine) -> None:
    (machine.recordings.parent / "housekeeping.json").write_bytes(b"\0garbage")
    machine.wall += 40 * DAY_S
    assert machine.house.tidy() == 0


@given(st.lists(st.tuples(st.floats(0, 90 * DAY_S), st.floats(-9e8, 9e8), st.booleans()), max_size=30))
def test_what_is_trusted_is_never_later_than_the_clock_nor_than_a_week_of_even_time_allows(steps) -> None:
    seen = MachineTime(T0, "b0", 0.0)
    known = TrustedTime(T0, seen)
    for number, (passes, step, reboots) in enumerate(steps):
        boot = f"b{number}" if reboots else seen.boot
        seen = MachineTime(seen.wall + passes + step, boot, 0.0 if reboots else seen.uptime_s + passes)
        after = trusted(known, seen, 0.0)
        assert after.now <= seen.wall + 1e-3
        if abs(step) > 61 and passes < 7 * DAY_S and not reboots:
            assert after.now <= known.now + passes + 61, "a step deletes nothing"
        known = after


def test_the_machine_says_what_time_it_is() -> None:
    first, second = machine_time(), machine_time()
    assert first.boot == second.boot
    assert second.uptime_s >= first.uptime_s > 0
    assert msgspec.json.decode(msgspec.json.encode(first), type=MachineTime) == first
