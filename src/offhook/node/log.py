"""Logs on standard error: constant texts with fields, secrets masked."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from offhook.node.config import Log
from offhook.node.web.recordings import mask_links

__all__ = ["set_up_logging"]

_MOST_CHARACTERS = 2000
"""Of one value; a traceback of ours may have ten times as many."""
_STEERS_A_TERMINAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_SECRET_FIELDS = frozenset({"token", "secret", "password", "authorization_state", "jwt_token"})


def set_up_logging(settings: Log) -> None:
    """For this process, once."""
    level = getattr(logging, settings.level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper("iso", utc=True),
            structlog.processors.format_exc_info,
            _mask,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Masked("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING))


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
