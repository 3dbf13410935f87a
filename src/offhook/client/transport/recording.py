"""A session written down: every frame in and out with its time, secrets masked, one JSON object a line.

    {"format": "offhook-session", "version": 1, "agent": "offhook-python/0.1.0"}
    {"at": 0.0, "what": "open"}
    {"at": 0.012, "what": "out", "frame": {"jsonrpc": "2.0", "id": "...", "method": "signalwire.connect", ...}}
    {"at": 0.031, "what": "in", "frame": {...}}
    {"at": 9.4, "what": "lost", "reason": "..."}

``at`` is seconds since the recording began; ``closed`` says that the client closed the socket. Frames that are no
JSON objects are kept as ``text``. Values of ``project``, ``token``, ``jwt_token``, ``dpop_token``,
``authorization_state``, credentials and passwords are replaced by ``***``, and so is every other mention of them.
Numbers, speech and digits of people are not masked: they are what a replay is about. Keep recordings as you keep the
calls themselves.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO

from offhook.errors import ConfigurationError

__all__ = ["FORMAT", "MASK", "VERSION", "SessionRecorder", "mask", "open_recorder"]

log = logging.getLogger("offhook.client")

FORMAT: Final = "offhook-session"
VERSION: Final = 1
MASK: Final = "***"

_SECRET: Final = frozenset({"token", "jwt_token", "dpop_token", "authorization_state", "project"}) | frozenset(
    {"credential", "password", "authorization_bearer_token", "web_hook_auth_password", "post_prompt_auth_password"}
)
_MIN_SECRET: Final = 6
"""Shorter secrets are masked where they stand, not wherever the same letters occur."""


class SessionRecorder:
    """Writes one session to a file. A file that cannot be written any more is given up with one warning."""

    def __init__(self, path: Path, *, agent: str, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._began = clock()
        self._secrets: set[str] = set()
        # Half a character is written as JSON escapes it, for no UTF-8 can hold it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file: TextIO | None = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace")
        path.chmod(0o600)  # one that was there before
        self._write({"format": FORMAT, "version": VERSION, "agent": agent})

    def __repr__(self) -> str:
        return f"SessionRecorder(path={str(self._path)!r})"

    def opened(self) -> None:
        """A socket is open."""
        self._note("open")

    def lost(self, reason: str) -> None:
        """It is gone."""
        self._note("lost", reason=reason)

    def closed(self) -> None:
        """The client closed it."""
        self._note("closed")

    def sent(self, text: str) -> None:
        """A frame went out."""
        self._frame("out", text)

    def received(self, text: str) -> None:
        """A frame came in."""
        self._frame("in", text)

    def close(self) -> None:
        """Finish the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _frame(self, what: str, text: str) -> None:
        try:
            frame = json.loads(text)
        except ValueError:
            frame = None
        if isinstance(frame, dict):
            self._note(what, frame=mask(frame, self._secrets))
        else:
            self._note(what, text=_strike(text, self._secrets))

    def _note(self, what: str, **more: Any) -> None:
        self._write({"at": round(self._clock() - self._began, 6), "what": what, **more})

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            self._file.flush()
        except OSError as error:
            log.warning("the session is no longer recorded: %s", error, extra={"path": str(self._path)})
            self.close()


def open_recorder(path: str, agent: str, clock: Callable[[], float]) -> SessionRecorder:
    """Begin a recording.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    file = Path(path)
    try:
        return SessionRecorder(file, agent=agent, clock=clock)
    except OSError as error:
        raise ConfigurationError("record_session", f"{file.name} cannot be written: {error.strerror}") from error


def mask(value: Any, secrets: set[str]) -> Any:
    """Replace secrets: by their key, which makes them known, and every mention of those known."""
    _learn(value, secrets)
    return _masked(value, secrets)


def _learn(value: Any, secrets: set[str]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _SECRET and isinstance(item, str) and len(item) >= _MIN_SECRET:
                secrets.add(item)
            _learn(item, secrets)
    elif isinstance(value, list):
        for item in value:
            _learn(item, secrets)


def _masked(value: Any, secrets: set[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: MASK if key in _SECRET and isinstance(item, str) else _masked(item, secrets)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_masked(item, secrets) for item in value]
    return _strike(value, secrets) if isinstance(value, str) else value


def _strike(text: str, secrets: set[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text
