"""The prompts directory: audio that the engine plays, by name, kept within bounds.

A file that is still written has mode 0600, a complete one 0400: after a crash the two can be told apart.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

__all__ = ["PromptCache"]

_TRIM_S = 10.0
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


class PromptCache:
    """Files of ``directory``; beyond ``max_bytes`` the least recently used go, but none used in ``keep_s``."""

    def __init__(self, directory: Path, *, max_bytes: int = 1 << 30, keep_s: float = 4 * 3600.0) -> None:
        self.directory = directory
        self._max_bytes = max_bytes
        self._keep_s = keep_s
        self._trimmed_at = -_TRIM_S

    def path(self, name: str) -> Path:
        """Where ``name`` lies. Names are made by us; anything else is a bug."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a prompt name: {name!r}")
        return self.directory / name

    def find(self, name: str, now: float) -> int | None:
        """Size of a complete prompt in bytes, marked as used at ``now`` (Unix time); None if there is none."""
        path = self.path(name)
        try:
            entry = path.lstat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(entry.st_mode) or entry.st_mode & stat.S_IWUSR:
            return None
        os.utime(path, (now, now))
        return entry.st_size

    def begin(self, name: str) -> Path:
        """Make an empty file to write to, in place of any incomplete one (whoever reads that, keeps it)."""
        path = self.path(name)
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        return path

    def complete(self, name: str, now: float) -> int:
        """Mark as whole and return its size in bytes."""
        path = self.path(name)
        path.chmod(0o400)
        os.utime(path, (now, now))
        return path.stat().st_size

    def discard(self, name: str) -> None:
        """Remove what could not be completed."""
        self.path(name).unlink(missing_ok=True)

    def is_trim_due(self, now: float) -> bool:
        """True once in ten seconds: looking at a full directory takes milliseconds."""
        if now - self._trimmed_at < _TRIM_S:
            return False
        self._trimmed_at = now
        return True

    def trim(self, now: float) -> int:
        """Remove the least recently used beyond the bound; returns how many bytes went."""
        files: list[tuple[float, int, str]] = []
        for entry in os.scandir(self.directory):
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # another fetch has just renamed or discarded it
                continue
            if stat.S_ISREG(found.st_mode):
                files.append((found.st_mtime, found.st_size, entry.path))
        files.sort()
        excess = sum(size for _, size, _ in files) - self._max_bytes
        removed = 0
        for used, size, path in files:
            if removed >= excess or now - used < self._keep_s:
                break
            Path(path).unlink(missing_ok=True)
            removed += size
        return removed
