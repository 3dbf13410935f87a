"""Fixtures of the bench."""

from __future__ import annotations

import pytest

from bench import open_bench


@pytest.fixture
async def bench(tmp_path):
    async with open_bench(tmp_path) as bench:
        yield bench
