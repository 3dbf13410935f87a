"""The state directory, and ports."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from offhook.errors import ConfigurationError, MachineError
from offhook.node.config import Relay, Settings, Sip
from offhook.node.ports import hold_ports, loopbacks, settle_port
from offhook.node.state import StateDirectory
from offhook.node.supervisor import with_ports
from rig.ports import free_port


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    made = StateDirectory(tmp_path / "state")
    made.prepare()
    return made


def test_the_identity_is_made_once_and_kept_private(state: StateDirectory) -> None:
    identity = state.identity()
    assert StateDirectory(state.root).identity() == identity
    assert stat.S_IMODE((state.root / "identity.json").stat().st_mode) == 0o600
    assert len({identity.token, *identity.app_tokens}) == 3
    assert all(len(token) >= 64 for token in (identity.token, *identity.app_tokens))
    assert identity.token not in repr(identity)


def test_an_identity_that_others_may_read_is_refused(state: StateDirectory) -> None:
    state.identity()
    (state.root / "identity.json").chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        state.identity()


def test_directories_are_for_their_owner_alone(state: StateDirectory) -> None:
    for directory in (state.root, state.prompts, state.recordings, state.control):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_state_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigurationError, match="chmod 700"):
        StateDirectory(tmp_path / "open").prepare()


def test_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    deep = StateDirectory(tmp_path / ("x" * 90))
    assert len(str(deep.socket)) < 104
    assert deep.socket != StateDirectory(tmp_path / ("y" * 90)).socket


def test_epochs_grow_with_every_start(state: StateDirectory) -> None:
    epochs = [StateDirectory(state.root).next_epoch() for _ in range(3)]
    assert epochs == sorted(set(epochs))


def test_one_node_at_a_time(state: StateDirectory) -> None:
    state.lock()
    with pytest.raises(MachineError, match="another offhook runs"):
        StateDirectory(state.root).lock()


def test_where_a_node_is_can_be_read_only_while_it_runs(state: StateDirectory) -> None:
    ready = state.describe(Settings(), state.identity())
    state.write_ready(ready)
    assert state.read_ready() is None
    state.lock()
    assert StateDirectory(state.root).read_ready() == ready


def test_a_free_port_is_free_for_udp_and_tcp() -> None:
    port = settle_port("sip", ("127.0.0.1",), 0, socket.SOCK_STREAM, socket.SOCK_DGRAM)
    assert port < 32768, "connections of others are given such ports, also before a node listens at its own"
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as bound:
            bound.bind(("127.0.0.1", port))


def test_a_port_that_is_held_is_not_free_and_its_own_server_may_listen_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a node started for 17 s; another program that wanted a free port was given its own."""
    port = settle_port("relay", ("127.0.0.1",), 0, socket.SOCK_STREAM)
    monkeypatch.setattr("offhook.node.ports._FREE", [port])
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
    monkeypatch.setattr("offhook.node.ports._is_here", lambda _: True)
    assert loopbacks("127.0.0.1") == ("127.0.0.1", "::1")
    assert loopbacks("::1") == ("::1", "127.0.0.1")
    assert loopbacks("192.0.2.1") == ("192.0.2.1",)
    monkeypatch.setattr("offhook.node.ports._is_here", lambda _: False)
    assert loopbacks("127.0.0.1") == ("127.0.0.1",)


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
    monkeypatch.setattr("offhook.node.supervisor.settle_port", lambda *_: next(offered))
    assert with_ports(Settings(sip=Sip(port=0), relay=Relay(port=0))).relay.port == 4001
    monkeypatch.setattr("offhook.node.supervisor.settle_port", lambda *_: 5060)
    with pytest.raises(ConfigurationError, match="choose another"):
        with_ports(Settings(relay=Relay(port=5060)))


def test_the_token_of_the_settings_wins(state: StateDirectory) -> None:
    secret = state.root / "token"
    secret.write_text("from-a-file-of-mine\n")
    secret.chmod(0o600)
    assert state.identity_for(Settings(relay=Relay(token_file=str(secret)))).token == "from-a-file-of-mine"
    identity = state.identity_for(Settings(relay=Relay(project="p", token="0123456789abcdef")))
    assert (identity.project, identity.token) == ("p", "0123456789abcdef")
