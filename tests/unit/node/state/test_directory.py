"""The state directory; after somebody or something was at it a sentence each, never a traceback."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from offhook.errors import ConfigurationError, MachineError, OffhookError
from offhook.node.config.settings import Relay, Settings
from offhook.node.state.directory import StateDirectory
from offhook.node.web.private import read_private, write_private

EPOCH_MOST = 1 << 48


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


def test_the_token_of_the_settings_wins(state: StateDirectory) -> None:
    secret = state.root / "token"
    secret.write_text("from-a-file-of-mine\n")
    secret.chmod(0o600)
    assert state.identity_for(Settings(relay=Relay(token_file=str(secret)))).token == "from-a-file-of-mine"
    identity = state.identity_for(Settings(relay=Relay(project="p", token="0123456789abcdef")))
    assert (identity.project, identity.token) == ("p", "0123456789abcdef")


def as_directory(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()
    (path / "something").touch()


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("lock", StateDirectory.lock),
        ("identity.json", StateDirectory.identity),
        ("epoch", StateDirectory.next_epoch),
        ("control/s", StateDirectory.remove_socket),
        ("ready.json", lambda state: state.write_ready(state.describe(Settings(), state.identity()))),
    ],
)
def test_a_directory_in_place_of_a_file_is_told_in_a_sentence(
    state: StateDirectory, name: str, use: Callable[[StateDirectory], object]
) -> None:
    as_directory(state.root / name)
    with pytest.raises(OffhookError, match="move it away"):
        use(state)


def test_a_pipe_in_place_of_a_secret_hangs_nobody(state: StateDirectory) -> None:
    os.mkfifo(state.root / "identity.json", 0o600)
    with pytest.raises(MachineError, match="no file"):
        state.identity()


@pytest.mark.parametrize("epoch", ["9" * 5000, str(1 << 70), "-5", "²", "", "12 34", "\0\0\0", "1e9"])
def test_an_epoch_that_no_node_wrote_counts_as_none(state: StateDirectory, epoch: str) -> None:
    write_private(state.root / "epoch", epoch.encode())
    first = state.next_epoch()
    assert 0 < first < EPOCH_MOST
    assert state.next_epoch() > first


def test_epochs_grow_in_memory_while_the_disk_takes_nothing(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that was killed while the disk was full could not be started again, and all calls ended."""
    before = state.next_epoch()

    def refuse(*_: object) -> None:
        raise MachineError("epoch cannot be written: No space left on device")

    monkeypatch.setattr("offhook.node.state.directory.write_private", refuse)
    epochs = [before, *(state.next_epoch() for _ in range(3))]
    assert epochs == sorted(set(epochs))


def test_where_a_node_is_is_written_once_for_the_same_words(state: StateDirectory) -> None:
    ready = state.describe(Settings(), state.identity())
    state.write_ready(ready)
    written = state.ready.stat()
    state.write_ready(ready)
    assert state.ready.stat().st_ino == written.st_ino


@pytest.mark.parametrize("cut", ["state_key", "token", "app_tokens"])
def test_an_identity_with_a_key_that_was_cut_is_damaged(state: StateDirectory, cut: str) -> None:
    state.identity()
    file = state.root / "identity.json"
    content = json.loads(file.read_text())
    content[cut] = ["", ""] if cut == "app_tokens" else content[cut][:8]
    write_private(file, json.dumps(content).encode())
    with pytest.raises(ConfigurationError, match="damaged: remove"):
        state.identity()


def test_a_secret_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="cannot be written"):
        write_private(tmp_path / "file" / "secret", b"x")
    assert read_private(tmp_path / "nothing") is None


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDirectory:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    return StateDirectory(tmp_path / ("x" * 90))


def test_a_run_directory_of_another_user_is_refused(deep: StateDirectory) -> None:
    """Its name can be guessed, and anybody may make it in the directory for temporary files."""
    deep.control.mkdir(mode=0o700)
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    os.chown(deep.control, 12345, 12345)
    with pytest.raises(ConfigurationError, match="shorter state_dir"):
        deep.prepare()


def test_a_run_directory_that_is_a_link_is_refused(deep: StateDirectory, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    deep.control.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="shorter state_dir"):
        deep.prepare()
    deep.control.unlink()
    deep.prepare()
    assert stat.S_IMODE(deep.control.stat().st_mode) == 0o700
