"""What a node says of itself before anything of it runs."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from offhook.node.app import Node, gateway_settings
from offhook.node.config import Limits, Relay, Settings, Sip
from offhook.node.state import StateDirectory
from offhook.node.steering import Boot, Steering

LAGS = {"ok": 0.0, "busy": 0.2, "shedding": 1.0}


@pytest.fixture
async def node(tmp_path: Path) -> Node:
    settings = Settings(state_dir=str(tmp_path), relay=Relay(port=1), sip=Sip(port=1))
    state = StateDirectory(tmp_path)
    state.prepare()
    return Node(Boot(settings, state.identity(), b"s" * 32, 1), cast(Steering, None))


@pytest.mark.parametrize(
    ("load", "status", "text"), [("ok", 200, "ok\n"), ("busy", 429, "busy\n"), ("shedding", 429, "busy\n")]
)
async def test_the_health_page_says_busy_while_the_node_is_late_and_draining_above_all(node, load, status, text):
    overload = node.exchange.overload
    for number in range(60):
        overload.sample(LAGS[load], 1000.0 + number * (0.1 + LAGS[load]))
    page = await node._health(cast(object, None))
    assert (page.status, page.text) == (status, text)
    node._is_draining = True
    assert (await node._health(cast(object, None))).text == "draining\n"


def test_what_the_configuration_allows_reaches_the_gateway(tmp_path):
    state = StateDirectory(tmp_path)
    state.prepare()
    settings = Settings(
        relay=Relay(origins=["https://console.example"]),
        limits=Limits(requests_per_s=7, kept_s=60, frame_bytes=1 << 17),
    )
    told = gateway_settings(settings, state.identity(), sessions=3)
    assert told.allowed_origins == {"https://console.example"}
    assert (told.requests_per_s, told.requests_burst, told.retention_s) == (7.0, 42, 60)
    assert (told.frame_max_bytes, told.sessions_max) == (1 << 17, 3)
