"""Loops: a test marked ``virtual_clock`` runs on a clock that jumps, every other one on the ordinary loop."""

from __future__ import annotations

import asyncio

import pytest

from offhook.testing.clock import VirtualClockLoop


@pytest.hookimpl(tryfirst=True)
def pytest_asyncio_loop_factories(config, item):
    if item.get_closest_marker("virtual_clock"):
        return {"virtual": VirtualClockLoop}
    return {"asyncio": asyncio.new_event_loop}
