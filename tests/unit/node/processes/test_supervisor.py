"""The ports of a node, which its supervisor settles before anything starts."""

from __future__ import annotations

import socket

import pytest

from offhook.errors import ConfigurationError
from offhook.node.config.settings import Relay, Settings, Sip
from offhook.node.processes.port_numbers import loopbacks
from offhook.node.processes.supervisor import with_ports
from rig.ports import free_port


@pytest.mark.skipif(len(loopbacks("127.0.0.1")) == 1, reason="this machine has no ::1")
def test_a_relay_port_taken_on_the_other_loopback_is_named() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as taken:
        port = free_port()
        taken.bind(("::1", port))
        taken.listen()
        with pytest.raises(ConfigurationError, match=f"TCP port {port} of ::1 is taken"):
            with_ports(Settings(sip=Sip(port=0), relay=Relay(port=port)))


def test_a_taken_port_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        port = free_port()  # of UDP alone, it could be some connection's by TCP
        taken.bind(("127.0.0.1", port))
        with pytest.raises(ConfigurationError, match=f"UDP port {port} of 127.0.0.1 is taken"):
            with_ports(Settings(sip=Sip(port=port), relay=Relay(port=0)))


def test_relay_and_sip_never_share_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = iter([4000, 4000, 4000, 4001])
    monkeypatch.setattr("offhook.node.processes.supervisor.settle_port", lambda *_: next(offered))
    assert with_ports(Settings(sip=Sip(port=0), relay=Relay(port=0))).relay.port == 4001
    monkeypatch.setattr("offhook.node.processes.supervisor.settle_port", lambda *_: 5060)
    with pytest.raises(ConfigurationError, match="choose another"):
        with_ports(Settings(relay=Relay(port=5060)))
