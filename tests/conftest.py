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


@pytest.hookimpl(tryfirst=True)
def pytest_asyncio_loop_factories(config, item):
    if item.get_closest_marker("virtual_clock"):
        return {"virtual": VirtualClockLoop}
    return {"asyncio": asyncio.new_event_loop}
