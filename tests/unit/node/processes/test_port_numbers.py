"""Which ports are free, and how ours are kept."""

from __future__ import annotations

import socket

import pytest

from offhook.errors import MachineError
from offhook.node.processes.port_numbers import hold_ports, loopbacks, settle_port


def test_a_free_port_is_free_for_udp_and_tcp() -> None:
    port = settle_port("sip", ("127.0.0.1",), 0, socket.SOCK_STREAM, socket.SOCK_DGRAM)
    assert port < 32768, "connections of others are given such ports, also before a node listens at its own"
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as bound:
            bound.bind(("127.0.0.1", port))


def test_a_port_that_is_held_is_not_free_and_its_own_server_may_listen_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a node started for 17 s; another program that wanted a free port was given its own."""
    port = settle_port("relay", ("127.0.0.1",), 0, socket.SOCK_STREAM)
    monkeypatch.setattr("offhook.node.processes.port_numbers._FREE", [port])
    with hold_ports([("127.0.0.1", port)]):
        for _ in range(2):
            with pytest.raises(MachineError, match="no port is free"):
                settle_port("relay", ("127.0.0.1",), 0, socket.SOCK_STREAM)
            with socket.create_server(("127.0.0.1", port)) as server:
                client = socket.create_connection(("127.0.0.1", port))
                server.accept()[0].close()
                client.close()
        assert settle_port("relay", ("127.0.0.1",), port, socket.SOCK_STREAM) == port
    with hold_ports([("127.0.0.1", port)]), hold_ports([("127.0.0.1", port)]):
        pass


def test_localhost_is_both_loopbacks_where_both_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.node.processes.port_numbers._is_here", lambda _: True)
    assert loopbacks("127.0.0.1") == ("127.0.0.1", "::1")
    assert loopbacks("::1") == ("::1", "127.0.0.1")
    assert loopbacks("192.0.2.1") == ("192.0.2.1",)
    monkeypatch.setattr("offhook.node.processes.port_numbers._is_here", lambda _: False)
    assert loopbacks("127.0.0.1") == ("127.0.0.1",)
