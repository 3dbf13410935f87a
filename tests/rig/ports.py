"""Free ports for programs that cannot pick their own."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack
from pathlib import Path

from offhook.node.processes.port_numbers import hold_ports, settle_port

__all__ = ["free_port", "free_ports", "is_bound", "until_bound"]


def free_port() -> int:
    """A port that is free for UDP and TCP on loopback now, and that no connection is given meanwhile."""
    return settle_port("port", ("127.0.0.1",), 0, socket.SOCK_STREAM, socket.SOCK_DGRAM)


def free_ports(count: int) -> list[int]:
    """So many, all free at the same time: asked for one by one they may be the same."""
    ports: list[int] = []
    with ExitStack() as held:
        while len(ports) < count:
            ports.append(free_port())
            held.enter_context(hold_ports([("127.0.0.1", ports[-1])]))
    return ports


def is_bound(port: int) -> bool:
    """Whether a program has this UDP port."""
    return f":{port:04X} " in Path("/proc/net/udp").read_text()


async def until_bound(port: int, within_s: float = 30.0) -> None:
    """Wait until a program has this port: what is sent before is lost, or refused."""
    until = time.monotonic() + within_s
    while not is_bound(port):
        assert time.monotonic() < until, f"nobody has UDP port {port} after {within_s} s"
        await asyncio.sleep(0.02)
