"""Finding ports before anything starts, so that a restarted process gets the same again."""

from __future__ import annotations

import errno
import socket

from offhook.errors import ConfigurationError, MachineError

__all__ = ["settle_ports"]

_ATTEMPTS = 50


def settle_ports(name: str, host: str, *, udp: int | None, tcp: int | None) -> tuple[int, int]:
    """UDP and TCP port that can be bound now; two times 0 gives one number for both.

    ``name`` is the setting, for the sentence. None: that kind is not wanted (and 0 is returned for it).

    Raises:
        ConfigurationError: a port is taken; names it.
    """
    if udp and tcp is None:
        return _bound(name, host, socket.SOCK_DGRAM, udp), 0
    for _ in range(_ATTEMPTS):
        try:
            tcp_port = _bound(name, host, socket.SOCK_STREAM, tcp) if tcp is not None else 0
            if udp is None:
                return 0, tcp_port
            return _bound(name, host, socket.SOCK_DGRAM, udp or (tcp_port if not tcp else 0)), tcp_port
        except ConfigurationError:
            if udp or (tcp and udp is None):
                raise
    raise MachineError(f"{name}: no port of {host} is free for both UDP and TCP")


def _bound(name: str, host: str, kind: socket.SocketKind, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            if kind is socket.SOCK_STREAM:
                probe.listen(1)
        except OSError as error:
            raise ConfigurationError(name, _sentence(error, host, kind, port)) from error
        return int(probe.getsockname()[1])


def _sentence(error: OSError, host: str, kind: socket.SocketKind, port: int) -> str:
    what = f"{'UDP' if kind is socket.SOCK_DGRAM else 'TCP'} port {port} of {host}"
    if error.errno == errno.EADDRINUSE:
        return f"{what} is taken by another program: end it, or choose another port (0 takes a free one)"
    if error.errno == errno.EACCES:
        return f"{what} needs more rights: choose a port above 1023"
    return f"{what} cannot be listened on: {error.strerror}"
