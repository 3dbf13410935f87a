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
        unmount(at)


def unmount(at: Path) -> None:
    """Who still holds a file there left something behind: that fails the test, and the disk goes all the same."""
    done = subprocess.run(["umount", str(at)], capture_output=True, text=True, check=False)
    if done.returncode:
        holders = users_of(at)
        subprocess.run(["umount", "--lazy", str(at)], check=True)
        raise AssertionError(f"the small disk was still in use, by {holders}: {done.stderr.strip()}")


def users_of(at: Path) -> list[str]:
    """Processes that have a file open below a directory, or work there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            files = [link.readlink() for link in (*(process / "fd").iterdir(), process / "cwd")]
            if any(file.is_relative_to(at) for file in files):
                found.append(f"{process.name} {(process / 'cmdline').read_bytes().decode().split(chr(0))[:3]}")
    return found


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
