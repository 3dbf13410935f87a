"""Loops and examples: a test marked ``virtual_clock`` runs on a clock that jumps, every other one on the ordinary
loop; property tests see the same examples on every machine, and others each night (``make audit``).
"""

from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import settings

from offhook.testing.clock import VirtualClockLoop

settings.register_profile("test", derandomize=True, deadline=None)
settings.register_profile("night", max_examples=2_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))


LONGEST = ("cut_sockets", "load", "demos", "either_sdk")
"""Groups of tests that begin first, so that nobody waits for them in the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        group = item.get_closest_marker("xdist_group")
        return LONGEST.index(group.args[0]) if group else len(LONGEST)

    items.sort(key=rank)


@pytest.hookimpl(tryfirst=True)
def pytest_asyncio_loop_factories(config, item):
    if item.get_closest_marker("virtual_clock"):
        return {"virtual": VirtualClockLoop}
    return {"asyncio": asyncio.new_event_loop}
