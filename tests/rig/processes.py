"""The processes of a node that serves, and a client that comes back to it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp

from rig.cpu import Stopwatch
from rig.node import NodeProcess, Stat
from rig.relay import RelayPeer

__all__ = ["clock_of", "connected_again", "frozen", "listens", "node_of", "nodes_of", "thread_named", "wait_for"]

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17  # ptrace(2)
_WALL = 0x40000000  # waitpid(2)


def wait_for(condition: Callable[[], object], within_s: float, what: str) -> float:
    """Until it holds; how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"{what}: not within {within_s} s"
        time.sleep(0.02)
    return time.monotonic() - began


def node_of(node: NodeProcess) -> Stat:
    """The process of the node itself: the one that listens, not the spare."""
    return next(s for s in nodes_of(node) if listens(s.pid))


def nodes_of(node: NodeProcess) -> list[Stat]:
    """The node and its spare; not what they start, which is a copy of them until it is what it is to be."""
    return [s for s in node.processes() if s.parent == node.process.pid and "offhook.node.app" in s.cmdline]


def listens(pid: int) -> bool:
    """Whether a process has a listening TCP socket (state 0A)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {line[9] for line in lines if line[3] == "0A"}
    held = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
                held.add(str(fd.readlink()))
    return any(f"socket:[{inode}]" in held for inode in inodes)


def thread_named(pid: int, name: str) -> int:
    """The id of a thread of a process."""
    found = [
        int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if (task / "comm").read_text() == f"{name}\n"
    ]
    assert len(found) == 1, f"{len(found)} threads of {pid} are named {name}"
    return found[0]


@contextlib.contextmanager
def frozen(thread: int) -> Iterator[None]:
    """One thread of a process of ours stands still, while all others go on; SIGKILL ends it all the same."""
    is_frozen, is_over = threading.Event(), threading.Event()
    failures: list[OSError] = []

    def hold() -> None:  # who traces is a thread, and its end has to be read by the same
        try:
            _ptrace(_SEIZE, thread)
            _ptrace(_INTERRUPT, thread)
            os.waitpid(thread, _WALL)
            is_frozen.set()
            while not is_over.wait(0.02):
                ended, _ = os.waitpid(thread, _WALL | os.WNOHANG)
                if ended:
                    return
            _ptrace(_DETACH, thread)
        except OSError as error:
            failures.append(error)
        finally:
            is_frozen.set()

    tracer = threading.Thread(target=hold)
    tracer.start()
    try:
        is_frozen.wait()
        if failures:
            raise failures[0]
        yield
    finally:
        is_over.set()
        tracer.join()


def _ptrace(request: int, thread: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), f"ptrace {request:#x} of thread {thread}")


def clock_of(node: NodeProcess) -> Stopwatch:
    """Time without what node, engine and we waited for a CPU: nothing else is between a timer and what we see."""
    return Stopwatch(node_of(node).pid, node.engine().pid)


async def connected_again(node: NodeProcess, protocol: str, began: float, within_s: float) -> RelayPeer:
    """A session resumed as soon as the node listens."""
    while True:
        peer = RelayPeer(node, protocol=protocol)
        try:
            await peer.connect()
        except (OSError, aiohttp.ClientError, AssertionError) as error:
            await peer.close()
            if time.monotonic() - began > within_s:
                raise AssertionError(f"not back after {within_s} s") from error
            await asyncio.sleep(0.05)
            continue
        return peer
