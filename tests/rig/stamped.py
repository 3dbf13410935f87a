"""UDP with the kernel's time stamps: when a packet came, however late it is read."""

from __future__ import annotations

import socket
import struct
import time

__all__ = ["receive_stamped", "stamped_socket"]

SO_TIMESTAMPNS = 35


def stamped_socket(host: str = "127.0.0.1", port: int = 0, *, buffer_bytes: int = 1 << 20) -> socket.socket:
    """A non-blocking UDP socket; as it comes its receive buffer holds some seconds of one call.

    Raises:
        OSError: the port is taken.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        sock.setblocking(False)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def receive_stamped(sock: socket.socket, size: int) -> tuple[bytes, tuple[str, int], float] | None:
    """One datagram, its source and the time (epoch) at which it came; None when there is none now."""
    while True:
        try:
            data, ancillary, _flags, source = sock.recvmsg(size, 64)
        except BlockingIOError:
            return None
        except ConnectionError:  # an answer to what was sent: its port is closed
            continue
        at = time.time()
        for level, kind, value in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = struct.unpack("qq", value[:16])
                at = seconds + nanoseconds / 1e9
        return data, source, at
