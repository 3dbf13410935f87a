"""A scripted node and a client connected to it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator

import pytest

from offhook.client.app.relay import RelayClient
from offhook.client.session.session import SessionSettings
from offhook.testing.node import ScriptedNode


@pytest.fixture(autouse=True)
def short_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect at once: what the back-off is, the session's own tests say."""
    quick = functools.partial(SessionSettings, backoff_min_s=0.01, backoff_max_s=0.02)
    monkeypatch.setattr("offhook.client.app.relay.SessionSettings", quick)


@pytest.fixture
async def node() -> AsyncIterator[ScriptedNode]:
    async with ScriptedNode() as node:
        yield node


@pytest.fixture
async def client(node: ScriptedNode) -> AsyncIterator[RelayClient]:
    client = RelayClient("project", "token", node.host, ["default"])
    await client.connect()
    yield client
    await client.disconnect()
    left = {task for task in asyncio.all_tasks() if task.get_name().startswith("offhook")}
    assert left == set(), "a client leaves no task behind"
