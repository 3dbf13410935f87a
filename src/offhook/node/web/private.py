"""Files that only their owner may read: keys, tokens, the counter of epochs."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from offhook.errors import ConfigurationError, MachineError

__all__ = ["private_directory", "read_private", "refuse_foreign", "write_private"]

_MOST_BYTES = 1 << 20
"""No secret and no counter is as long."""


def private_directory(path: Path) -> Path:
    """Make a directory of mode 0700, or see that it is one.

    Raises:
        MachineError: it cannot be made.
        ConfigurationError: it exists and others may enter it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise MachineError(f"{path} cannot be made a directory: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigurationError(str(path), f"others may enter this directory (mode {mode:04o}): chmod 700 {path}")
    return path


def refuse_foreign(path: Path) -> None:
    """Refuse a directory where others may make some (the one for temporary files), unless we made this one.

    Raises:
        ConfigurationError: it is another user's, or a link to somewhere else.
    """
    try:
        found = path.lstat()
    except OSError as error:
        raise MachineError(f"{path} cannot be looked at: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigurationError(str(path), "it is not a directory of ours: remove it, or give a shorter state_dir")


def read_private(path: Path) -> bytes | None:
    """Read a secret; None if it is not there.

    Raises:
        ConfigurationError: others may read it.
        MachineError: it cannot be read, or is no file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror}") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise MachineError(f"{path} cannot be read: it is no file; move it away")
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077:
            raise ConfigurationError(str(path), f"others may read this secret (mode {mode:04o}): chmod 600 {path}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)


def write_private(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put a file in place at once and whole, synced, with ``mode`` from its first byte on."""
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise MachineError(f"{path} cannot be written: {error.strerror}") from error
