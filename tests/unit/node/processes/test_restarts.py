"""How often a part is started again, and how starts that fail are tried again. Time is given."""

from __future__ import annotations

import pytest

from offhook.errors import MachineError
from offhook.node.processes.restarts import RestartBudget, Retries


def test_five_ends_in_a_minute_are_allowed_and_the_sixth_is_not() -> None:
    budget = RestartBudget("node")
    for at in range(5):
        budget.spend(float(at))
    for at in (5.0, 59.9):
        with pytest.raises(MachineError, match="the node ended 6 times within 60 s"):
            budget.spend(at)
    budget.spend(60.0)
    with pytest.raises(MachineError):
        budget.spend(60.5)


def test_starts_that_fail_are_tried_again_with_growing_pauses_and_given_up_after_ten_minutes() -> None:
    """A full disk for some seconds ended all calls within 0.6 s: five starts, 0.1 s apart."""
    retries = Retries("node", 1000.0)
    now, pauses = 1000.0, []
    while now < 1600.0:
        pauses.append(retries.pause_s(now))
        now += pauses[-1]
    assert pauses[:8] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    with pytest.raises(MachineError, match="the node did not start for 600 s"):
        retries.pause_s(now)
