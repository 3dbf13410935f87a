"""Fixtures of the gateway's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from gateway_rig import Node


@pytest.fixture
async def node(tmp_path):
    async with Node(tmp_path) as node:
        yield node


@pytest.fixture
def make_node(tmp_path):
    return lambda **changes: Node(tmp_path, **changes)
