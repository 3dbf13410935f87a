"""node/web/descriptors: places are shared out of what the process has, and something is held back."""

from __future__ import annotations

import resource

import pytest

from offhook.node.web.crowd import CrowdLimits
from offhook.node.web.descriptors import HELD_BACK, places, raise_limit


@pytest.mark.parametrize("descriptors", [20, 64, 128, 256, 512, 1024, 4096, 65536])
@pytest.mark.parametrize("sessions", [1, 1000, 1_000_000])
def test_all_places_together_leave_descriptors_for_what_must_go_on(descriptors, sessions):
    found = places(descriptors, sessions, CrowdLimits())
    taken = found.crowd.strangers + found.crowd.guests + found.sessions
    assert taken <= descriptors - min(HELD_BACK, descriptors // 2)
    assert min(found.crowd.strangers, found.crowd.guests, found.sessions) >= 1
    assert found.crowd.strangers_per_address <= found.crowd.strangers
    assert found.sessions <= sessions


def test_fewer_places_are_given_for_less_time_so_that_newcomers_wait_no_longer():
    enough, few = places(65536, 1000, CrowdLimits()).crowd, places(1024, 1000, CrowdLimits()).crowd
    assert (enough.strangers, few.strangers) == (512, 256)
    assert few.strangers / few.patience_s == enough.strangers / enough.patience_s
    assert places(64, 1000, CrowdLimits()).crowd.patience_s == 0.75


def test_with_enough_of_them_the_settings_hold():
    wanted = CrowdLimits(strangers=300, strangers_per_address=7, guests=5, guests_per_address=2, patience_s=9.0)
    assert places(65536, 1000, wanted) == (wanted, 1000)


def test_the_soft_limit_is_raised_to_the_hard_one():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    low = min(512, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    try:
        raised = raise_limit()
        assert raised == resource.getrlimit(resource.RLIMIT_NOFILE)[0] == most
        assert raise_limit() == raised
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
