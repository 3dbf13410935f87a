"""Files that only their owner may read: keys, tokens, the counter of epochs."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from offhook.errors import ConfigurationError, MachineError

__all__ = ["private_directory", "read_private", "write_private"]


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


def read_private(path: Path) -> bytes | None:
    """Read a secret; None if it is not there.

    Raises:
        ConfigurationError: others may read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise ConfigurationError(str(path), f"others may read this secret (mode {mode:04o}): chmod 600 {path}")
        return file.read()


def write_private(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put a file in place at once and whole, synced, with ``mode`` from its first byte on."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(temporary).replace(path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise MachineError(f"{path} cannot be written: {error.strerror}") from error
