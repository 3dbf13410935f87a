"""Loops and examples: a test marked ``virtual_clock`` runs on a clock that jumps, every other one on the ordinary
loop; property tests see the same examples on every machine, and others each night (``make audit``).
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from offhook.testing.clock import VirtualClockLoop

BEGAN = pytest.StashKey[float]()

settings.register_profile("test", derandomize=True, deadline=None)
settings.register_profile("night", max_examples=2_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))


TOGETHER = {
    "test_cut_sockets": "cut sockets",
    "test_either_sdk": "either SDK",
    "test_load": "load",
    "test_strangers": "load",
    "test_trunk": "load",
    "test_lost_ack": "demos",
    "test_the_demo": "demos",
    "test_configured": "configured",
    "test_site": "site",
}
"""Files whose tests share what one of them starts, or load the machine: one worker runs them, one after another."""


class Sharing(LoadScopeScheduling):
    """Hands out tests one by one, those of a group to one worker; groups go first, the largest before all."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER.get(Path(nodeid.partition("::")[0]).stem, nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    return Sharing(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure, what its nodes wrote meanwhile."""
    report = yield
    if report.failed and (nodes := sys.modules.get("rig.node")):
        for name, log in nodes.written_since(item.stash.get(BEGAN, 0.0)):
            report.sections.append((f"log of {name}", log))
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[BEGAN] = time.time()


@pytest.hookimpl(tryfirst=True)
def pytest_asyncio_loop_factories(config, item):
    if item.get_closest_marker("virtual_clock"):
        return {"virtual": VirtualClockLoop}
    return {"asyncio": asyncio.new_event_loop}
