"""What a node says of itself before anything of it runs, and what its rooms are told of the settings."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from offhook.node.app import Node, call_settings, gateway_settings
from offhook.node.config.settings import DAY_MOST, Dev, Dial, Limits, Overload, Relay, Settings, Sip, Trunk
from offhook.node.processes.supervision import Boot, Supervision
from offhook.node.state.directory import StateDirectory

LAGS = {"ok": 0.0, "busy": 0.2, "shedding": 1.0}


@pytest.fixture
async def node(tmp_path: Path) -> Node:
    settings = Settings(state_dir=str(tmp_path), relay=Relay(port=1), sip=Sip(port=1))
    state = StateDirectory(tmp_path)
    state.prepare()
    return Node(Boot(settings, state.identity(), b"s" * 32, 1), cast(Supervision, None))


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


@pytest.mark.parametrize(
    ("changes", "numbers", "loopback"),
    [
        ({}, [], True),
        ({"dev": Dev(enabled=True)}, ["*"], True),
        ({"dev": Dev(enabled=True), "trunk": Trunk(allow=("+1",))}, ["+1"], True),
        ({"relay": Relay(listen="192.0.2.1")}, [], False),
        ({"sip": Sip(listen="192.0.2.1")}, [], False),
    ],
)
def test_what_may_be_dialled_depends_on_who_is_served(changes, numbers, loopback):
    """Programs of this machine may call its phones; those of others reach what is listed."""
    identity = SimpleNamespace(node_id="n", project="p")
    calls = call_settings(msgspec.structs.replace(Settings(), **changes), identity)
    assert (calls.trunk.allow, calls.dial.loopback) == (numbers, loopback)
    assert calls.dial.calls_at_once == 1000, "half of engine.max_calls: the rest is for calls that come in"
    assert calls.trunk.calls_at_once == (1000 if "dev" in changes else 10)
    assert calls.trunk.calls_per_day == (DAY_MOST if "dev" in changes else 1000)
    assert calls.trunk.minutes_per_day == (DAY_MOST if "dev" in changes else 3000)


def test_what_is_set_for_calls_reaches_them():
    trunk = Trunk(calls_per_day=7, minutes_per_day=8)
    changed = {"trunk": trunk, "dial": Dial(wait_s=9.0), "overload": Overload(lag_ms=70.0, skipped_ticks=0.5)}
    calls = call_settings(msgspec.structs.replace(Settings(), **changed), SimpleNamespace(node_id="n", project="p"))
    assert (calls.trunk.calls_per_day, calls.trunk.minutes_per_day, calls.dial.wait_s) == (7, 8, 9.0)
    assert (calls.overload.lag_ms, calls.overload.skipped_ticks) == (70.0, 0.5)
