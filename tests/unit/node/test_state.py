"""The state directory after somebody or something was at it: a sentence each, never a traceback."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from offhook.errors import ConfigurationError, MachineError, OffhookError
from offhook.node.config import Settings
from offhook.node.state import StateDirectory
from offhook.node.web.private import read_private, write_private

EPOCH_MOST = 1 << 48


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    made = StateDirectory(tmp_path / "state")
    made.prepare()
    return made


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

    monkeypatch.setattr("offhook.node.state.write_private", refuse)
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
