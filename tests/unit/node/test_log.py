"""Secrets and proofs do not reach the log."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import logging
import re
import sys
import time

import pytest
import structlog

from offhook.node.config.settings import Log
from offhook.node.log import set_up_logging


def test_tokens_and_links_are_masked(capsys) -> None:
    before = structlog.get_config()
    try:
        set_up_logging(Log(format="json"))
        link = "https://localhost:1/recordings/a.wav?expires=1&signature=abcDEF-_1"
        structlog.get_logger("test").warning("something", token="PT0123", url=link, other="kept")
    finally:
        structlog.configure(**before)
    written = capsys.readouterr().err
    assert "PT0123" not in written
    assert "abcDEF" not in written
    assert "kept" in written


@contextlib.contextmanager
def logging_as_a_node_does(format_: str, level: str = "info"):
    before, handlers = structlog.get_config(), logging.root.handlers[:]
    logging.root.handlers.clear()
    try:
        set_up_logging(Log(format=format_, level=level))
        yield
    finally:
        structlog.configure(**before)
        logging.root.handlers[:] = handlers


@pytest.mark.parametrize("format_", ["text", "json"])
@pytest.mark.parametrize(
    "value",
    ["\x1b[2J\x1b]0;owned\x07", "a\u202egnp.exe", "a\rb", "a\x00b", "a\u2028b", "\x9b31m", "x" * 100_000],
    ids=["escape", "right to left", "return", "null", "line separator", "C1", "long"],
)
def test_what_a_peer_is_called_cannot_steer_a_terminal_or_fill_a_disk(capsys, format_, value) -> None:
    with logging_as_a_node_does(format_):
        structlog.get_logger("test").warning("something", context=value)
        logging.getLogger("library").warning("of %s", value)
    written = capsys.readouterr().err.replace("\x1b[0m", "").replace("\x1b[1m", "")
    assert len(written) < 25_000
    assert not set(written) & set("\x00\x07\r\x9b\u202e\u2028")
    assert "\x1b[2J" not in written


def test_a_link_stays_secret_also_in_what_a_library_or_a_traceback_says(capsys) -> None:
    with logging_as_a_node_does("text"):
        try:
            raise ValueError("GET /recordings/a.wav?expires=1&signature=abcDEF-_1 HTTP/1.1")
        except ValueError:
            structlog.get_logger("test").exception("it failed")
            logging.getLogger("asyncio").exception("it failed with signature=abcDEF-_1")
    written = capsys.readouterr().err
    assert written.count("ValueError") >= 2
    assert "abcDEF" not in written


def test_what_aiohttp_says_of_a_peer_is_a_place_and_a_kind(capsys) -> None:
    with logging_as_a_node_does("text"):
        try:
            raise ValueError(b"\xff" * 1000)
        except ValueError:
            logging.getLogger("aiohttp.server").exception("Error handling request from %s", "192.0.2.1")
    written = capsys.readouterr().err
    assert "aiohttp.server test_log.py:" in written
    assert "ValueError" in written
    assert len(written) < 120


def test_one_sentence_a_thousand_times_is_a_hundred_lines_and_a_count(capsys, monkeypatch) -> None:
    """Each wrong token and each forged link was a line: a stranger fills a disk so."""
    with logging_as_a_node_does("json"):
        for number in range(1000):
            structlog.get_logger("test").info("connect refused", reason=f"reason {number}")
        structlog.get_logger("test").info("another")
        later = time.monotonic() + 11
        monkeypatch.setattr(time, "monotonic", lambda: later)
        structlog.get_logger("test").info("connect refused", reason="later")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    refused = [line for line in lines if line["event"] == "connect refused"]
    assert len(refused) == 101
    assert refused[-1]["left_out"] == 900
    assert sum(line["event"] == "another" for line in lines) == 1


def test_errors_and_what_is_asked_for_by_level_debug_are_never_left_out(capsys) -> None:
    with logging_as_a_node_does("json"):
        for _ in range(300):
            structlog.get_logger("test").error("it failed")
    with logging_as_a_node_does("json", "debug"):
        for _ in range(300):
            structlog.get_logger("test").info("connect refused")
    assert len(capsys.readouterr().err.splitlines()) == 600


class Refusing(io.StringIO):
    """The file of a log on a disk that is full, until there is room."""

    is_full = True

    def flush(self) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")


class Counting(io.StringIO):
    """What was written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)


def test_a_line_and_its_end_are_written_at_once(monkeypatch) -> None:
    """Lines of supervisor and node came between each other's text and end where standard error is not buffered."""
    file = Counting()
    monkeypatch.setattr(sys, "stderr", file)
    with logging_as_a_node_does("json"):
        structlog.get_logger("test").info("first")
        structlog.get_logger("test").info("second")
    assert [text.count("\n") for text in file.writes] == [1, 1]
    assert all(text.endswith("}\n") for text in file.writes)


@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_log_that_cannot_be_written_ends_nobody_and_says_so_when_it_can(monkeypatch, format_) -> None:
    """A supervisor that told of a full disk, into a file on that disk, ended with node, engine and all calls."""
    file = Refusing()
    monkeypatch.setattr(sys, "stderr", file)
    with logging_as_a_node_does(format_):
        logger = structlog.get_logger("test")
        for _ in range(3):
            logger.error("the epoch is kept in memory alone")
        file.is_full = False
        logger.error("there is room")
        logger.error("all is well")
    *_, there_is_room, all_is_well = file.getvalue().splitlines()
    assert "there is room" in there_is_room
    assert re.search(r'unwritten"?[=:] ?3\b', there_is_room)
    assert "unwritten" not in all_is_well
