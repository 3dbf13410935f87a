"""Finding ports before anything starts, so that a restarted process gets the same again."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import random
import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from offhook.errors import ConfigurationError, MachineError

__all__ = ["hold_ports", "is_loopback", "loopbacks", "settle_port"]

_ATTEMPTS = 200
_FREE: Final = range(10240, 16384)
"""Where a free one is looked for: no system gives these to connections or to who binds port 0 (Linux from 32768, others
from 49152), so that none is taken between our look and the start of what listens there, nor while it is started again.
The ports of RTP begin above."""


def loopbacks(address: str) -> tuple[str, ...]:
    """Where to listen for clients that ask for ``localhost``, which is 127.0.0.1 to some and ::1 to others.

    An address that is neither, or a machine without the other, has the one address alone.
    """
    other = {"127.0.0.1": "::1", "::1": "127.0.0.1"}.get(address)
    return (address, other) if other and _is_here(other) else (address,)


def is_loopback(address: str) -> bool:
    """Whether only this machine is served at an IP address."""
    return ipaddress.ip_address(address).is_loopback


def _is_here(address: str) -> bool:
    try:
        with socket.socket(_family(address), socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def hold_ports(where: Iterable[tuple[str, int]]) -> Iterator[None]:
    """Keep TCP ports of ours (host, port) from whoever looks for a free one, also while nothing listens there.

    They are bound and do not listen: what binds them with SO_REUSEADDR, as a server does, may listen there (socket(7)).
    One that cannot be bound now is left to who is to listen there, which tells why.
    """
    with contextlib.ExitStack() as held:
        for host, port in where:
            holder = held.enter_context(socket.socket(_family(host), socket.SOCK_STREAM))
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                holder.bind((host, port))
        yield


def settle_port(name: str, hosts: Sequence[str], port: int, *kinds: socket.SocketKind) -> int:
    """A port that can be bound now on all ``hosts`` for all ``kinds``; ``port``, or for 0 a free one.

    ``name`` is the setting, for the sentence.

    Raises:
        ConfigurationError: the port is taken; names it.
    """
    for _ in range(_ATTEMPTS):
        found = port or random.choice(_FREE)  # noqa: S311  no secret
        try:
            for host in hosts:
                for kind in kinds:
                    _try(name, host, kind, found, is_given=bool(port))
        except ConfigurationError:
            if port:
                raise
            continue
        return found
    raise MachineError(f"{name}: no port is free on {' and '.join(hosts)} for all that listens there")


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _try(name: str, host: str, kind: socket.SocketKind, port: int, *, is_given: bool) -> None:
    with socket.socket(_family(host), kind) as probe:
        if kind is socket.SOCK_STREAM and is_given:  # closed connections do not count, nor a port that is only held
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            if kind is socket.SOCK_STREAM:
                probe.listen(1)
        except OSError as error:
            raise ConfigurationError(name, _sentence(error, host, kind, port)) from error


def _sentence(error: OSError, host: str, kind: socket.SocketKind, port: int) -> str:
    what = f"{'UDP' if kind is socket.SOCK_DGRAM else 'TCP'} port {port} of {host}"
    if error.errno == errno.EADDRINUSE:
        return f"{what} is taken by another program: end it, or choose another port (0 takes a free one)"
    if error.errno == errno.EACCES:
        return f"{what} needs more rights: choose a port above 1023"
    return f"{what} cannot be listened on: {error.strerror}"
