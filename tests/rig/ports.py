"""Free ports for programs that cannot pick their own."""

from __future__ import annotations

import socket

from offhook.node.ports import settle_port

__all__ = ["free_port"]


def free_port() -> int:
    """A port that is free for UDP and TCP on loopback now, and that no connection is given meanwhile."""
    return settle_port("port", ("127.0.0.1",), 0, socket.SOCK_STREAM, socket.SOCK_DGRAM)
