"""A disk that is small, and really full."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__ = ["fill", "free_bytes", "small_disk"]


@contextlib.contextmanager
def small_disk(at: Path, mib: int = 24) -> Iterator[Path]:
    """A file system of its own."""
    at.mkdir(parents=True)
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "offhook", str(at)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk: {mounted.stderr.decode().strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def fill(disk: Path) -> Path:
    """Take all that is left."""
    filling = disk / "filling"
    with contextlib.suppress(OSError), filling.open("ab", buffering=0) as file:
        while file.write(b"\0" * 65536):
            pass
    return filling


def free_bytes(disk: Path) -> int:
    """What is left for everybody."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize
