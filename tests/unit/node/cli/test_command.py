"""The sentences of ``offhook`` for what cannot be done, and what its help says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from offhook.node.cli import __main__ as installed
from offhook.node.cli.command import main


@pytest.fixture(autouse=True)
def the_log_as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def run(*arguments: str) -> int:
    """Exit status of ``offhook`` with these arguments."""
    try:
        main(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["dev", "nothing.py"], "nothing.py is no file: name the Python program to run"),
        (["dev", __file__, "--python", "no-such-python"], "--python: no-such-python is no program"),
        (["dev", "--sip-port", "70000"], "sip.port: must be a whole number, at most 65535"),
        (["serve", "--config", "nothing.toml"], "nothing.toml: the file cannot be read"),
        (["call", "100", "--state-dir", "nowhere"], "no node runs with nowhere: start offhook dev"),
        (["call", "tel:+1555"], "tel:+1555 cannot be called: give a number (100) or a SIP URI"),
        (["call", "100", "--press", "1x"], "--press: 1x has characters that are no keys"),
        (["call", "100", "--play", "no.wav"], "--play: no.wav is no file"),
        (["call", "100", "--out", "nowhere/heard.wav"], "--out: there is no directory nowhere"),
        (["call", "100", "--seconds", "0"], "--seconds: must be more than 0"),
    ],
)
def test_a_mistake_ends_with_a_sentence_and_status_2(
    arguments: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    assert capsys.readouterr().err.startswith(f"offhook: {sentence}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("command", "word"), [("dev", "--python"), ("serve", "--config"), ("call", "--press 1")])
def test_help_says_how(command: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    assert word in capsys.readouterr().out


def test_where_only_the_sdk_is_installed_the_command_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cyclopts", "offhook.node.cli.command"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    with pytest.raises(SystemExit) as ended:
        installed.main()
    assert ended.value.code == 2
    assert "pip install 'offhook[node]'" in capsys.readouterr().err
