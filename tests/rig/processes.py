"""The processes of a node that serves, and a client that comes back to it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

from rig.cpu import Stopwatch
from rig.node import NodeProcess, Stat
from rig.relay import RelayPeer

__all__ = ["clock_of", "connected_again", "listens", "node_of", "nodes_of", "wait_for"]


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
