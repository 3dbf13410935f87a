"""Logs on standard error: constant texts with fields, secrets masked."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, TextIO

import structlog

from offhook.node.config.settings import Log
from offhook.node.web.recordings import mask_links

__all__ = ["set_up_logging"]

_MOST_CHARACTERS = 2000
"""Of one value; a traceback of ours may have ten times as many."""
_TIMES = 100
"""How often one sentence is written in ``_WINDOW_S``."""
_WINDOW_S = 10.0
_STEERS_A_TERMINAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_SECRET_FIELDS = frozenset({"token", "secret", "password", "authorization_state", "jwt_token"})


def set_up_logging(settings: Log) -> None:
    """For this process, once."""
    level = getattr(logging, settings.level.upper())
    lines = _Lines(sys.stderr)
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            *([] if settings.level == "debug" else [_Sparing()]),
            lines.tell_unwritten,
            structlog.processors.TimeStamper("iso", utc=True),
            structlog.processors.format_exc_info,
            _mask,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Masked("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING))


class _Lines:
    """Writes to a file. Where that refuses (its disk is full, its reader left) nobody who logs fails for it: the next
    line that is written has as ``unwritten`` how many were not.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._unwritten = 0

    def tell_unwritten(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if self._unwritten:
            event["unwritten"] = self._unwritten
        return event

    def msg(self, line: str) -> None:
        try:
            self._file.write(f"{line}\n")  # at once: other processes write to this file as well
            self._file.flush()
        except OSError:
            self._unwritten += 1
        else:
            self._unwritten = 0

    debug = info = warning = error = critical = exception = msg


class _Sparing:
    """Leaves out the same sentence after so many times, and says how many: much of what is logged, strangers cause."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def __call__(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if method not in ("info", "warning"):
            return event
        now = time.monotonic()
        seen = self._seen.setdefault(str(event.get("event")), _Seen(now))
        if now - seen.began_at >= _WINDOW_S:
            if seen.left_out:
                event["left_out"] = seen.left_out
            seen.began_at, seen.times, seen.left_out = now, 0, 0
        if seen.times >= _TIMES:
            seen.left_out += 1
            raise structlog.DropEvent
        seen.times += 1
        return event


@dataclass(slots=True)
class _Seen:
    """One sentence; sentences are constants of ours, so that there are not many."""

    began_at: float
    times: int = 0
    left_out: int = 0


class _Masked(logging.Formatter):
    """Of the libraries. aiohttp puts what a peer sent into its messages and tracebacks: of it, where it is from."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name.startswith("aiohttp."):
            kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else "nothing raised"
            return f"{record.levelname} {record.name} {record.pathname.rpartition('/')[2]}:{record.lineno} {kind}"
        return _clean(super().format(record), 10 * _MOST_CHARACTERS)


def _clean(text: str, most: int) -> str:
    """Without proofs of links, and without what would steer the terminal of who reads it."""
    cut = text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"
    return _STEERS_A_TERMINAL.sub(lambda found: f"\\u{ord(found[0]):04x}", mask_links(cut))


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if name in _SECRET_FIELDS:
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = _clean(value, (10 if name == "exception" else 1) * _MOST_CHARACTERS)
    return event
