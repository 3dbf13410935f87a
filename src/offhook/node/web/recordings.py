"""Recordings over HTTP, by links that carry their own proof and expiry; never the project's token."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import stat
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
from aiohttp import web

from offhook.node.web.private import read_private, write_private

__all__ = ["RECORDINGS_PATH", "RecordingServer", "load_link_key", "mask_links", "newest", "remove_old"]

RECORDINGS_PATH = "/recordings/"

_log = structlog.get_logger(__name__)
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_SIGNATURE = re.compile(r"(signature=)[A-Za-z0-9_%-]+")
_EXPIRES = re.compile(r"[1-9]\d{0,11}")
_MADE = re.compile(r"[A-Za-z0-9_-]{1,16}\.\d{1,11}")
_TYPES = {".wav": "audio/wav", ".mp3": "audio/mpeg"}


class LinkClock(Protocol):
    """By which links are old (``SteadyTime``). Times are seconds of the Unix epoch."""

    @property
    def began_at(self) -> float:
        """What ``now`` was first: links of processes before us were made before it."""
        ...

    def now(self) -> float:
        """Goes on evenly, also when the machine's clock is set."""
        ...

    def latest(self) -> float:
        """This, or what the machine's clock says, where that is later: the next process will start with it."""
        ...


class RecordingServer(msgspec.Struct, frozen=True):
    """Makes links (``RecordingLinks`` of ``calls.ports``) and serves them, with ranges.

    A link says when it expires by the clock of the process that made it, which that was, and how far the machine's
    clock was ahead then: another process has that clock alone. However it was set, no link of a process before works
    for longer than one that was made when we began.
    """

    directory: Path
    key: bytes
    base_url: Callable[[], str]
    """Scheme, host and port as clients see them; asked for each link, as the port may be known late."""
    lifetime_s: float
    clock: LinkClock
    process: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(6))
    """Names this process in its links."""

    def url(self, recording: str) -> str:
        """A link that works for ``lifetime_s`` from now."""
        if not _NAME.fullmatch(recording):
            raise ValueError(f"not a recording name: {recording!r}")
        now = self.clock.now()
        expires, made = str(int(now + self.lifetime_s)), f"{self.process}.{int(self.clock.latest() - now)}"
        signature = self._sign(recording, expires, made)
        return f"{self.base_url()}{RECORDINGS_PATH}{recording}?expires={expires}&made={made}&signature={signature}"

    def routes(self) -> list[web.RouteDef]:
        """For the HTTP server beside the gateway (GET and HEAD)."""
        return [web.get(RECORDINGS_PATH + "{name}", self.serve)]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The file; 403 for a forged link, 410 for an old one, 404 when there is no file."""
        name = request.match_info["name"]
        expires = request.query.get("expires", "")
        made = request.query.get("made", "")
        signature = request.query.get("signature", "")
        if not _NAME.fullmatch(name) or not _EXPIRES.fullmatch(expires) or not _MADE.fullmatch(made):
            return _refuse(403, "This is not a link to a recording: use the url of the event as it is.")
        if not hmac.compare_digest(self._sign(name, expires, made).encode(), signature.encode()):
            _log.warning("a link to a recording was forged or cut", recording=name)
            return _refuse(403, "The signature of this link is wrong: use the url of the event as it is.")
        if self.is_old(int(expires), made):
            return _refuse(410, "This link has expired: its lifetime is the setting recordings.link_lifetime_s.")
        path = self.directory / name
        if _is_file(path.with_name(f"{name}.part")):
            return _refuse(404, "This recording is still being made: fetch it after its event says finished.")
        if not _is_file(path):
            return _refuse(404, "This recording is no longer here: it was removed (recordings.retention_days).")
        headers = {
            "Content-Type": _TYPES.get(path.suffix, "application/octet-stream"),
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return web.FileResponse(path, headers=headers)

    def is_old(self, expires: int, made: str) -> bool:
        """Whether a link that says so works no more."""
        now = self.clock.now()
        process, _, ahead_s = made.partition(".")
        if process == self.process:
            return now > expires
        return now > min(expires + int(ahead_s), self.clock.began_at + self.lifetime_s)

    def _sign(self, name: str, expires: str, made: str) -> str:
        digest = hmac.new(self.key, f"recording\n{name}\n{expires}\n{made}".encode(), hashlib.sha256).digest()
        return urlsafe_b64encode(digest).decode().rstrip("=")


def load_link_key(file: Path) -> bytes:
    """The key of the links, made at the first start (0600).

    Raises:
        ConfigurationError: others may read it.
    """
    key = read_private(file)
    if key is None or len(key) != 32:
        key = secrets.token_bytes(32)
        write_private(file, key)
    return key


def mask_links(text: str) -> str:
    """The text without the proof of any link, for logs."""
    return _SIGNATURE.sub(r"\1***", text)


def remove_old(directory: Path, *, older_than: float) -> int:
    """Remove recordings last written before ``older_than`` (Unix time); returns how many."""
    removed = 0
    for path in directory.iterdir():
        if _is_file(path) and path.stat().st_mtime < older_than:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def newest(directory: Path) -> float:
    """When a recording was last written (Unix time); 0.0: there is none."""
    return max((path.stat().st_mtime for path in directory.iterdir() if _is_file(path)), default=0.0)


def _is_file(path: Path) -> bool:
    """A regular file itself, not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _refuse(status: int, sentence: str) -> web.Response:
    return web.Response(status=status, text=sentence + "\n", headers={"Cache-Control": "no-store"})
