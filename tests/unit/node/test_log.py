"""Secrets and proofs do not reach the log."""

from __future__ import annotations

import structlog

from offhook.node.config import Log
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
