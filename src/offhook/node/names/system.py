"""The system's resolver, as every other program of this machine hears it (``getaddrinfo(3)``), in threads."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import threading

__all__ = ["bound_the_system", "look_up"]


def bound_the_system() -> None:
    """Let a name whose servers are silent cost its thread some seconds (``resolv.conf(5)``: usually 10 s a server).

    For this process, unless its environment says otherwise.
    """
    os.environ.setdefault("RES_OPTIONS", "timeout:2 attempts:2")


async def look_up(host: str) -> list[str]:
    """Addresses of a host, in the order in which they should be tried (RFC 6724).

    Takes a thread until the system has answered, also when the caller is cancelled: bound how many run.

    Raises:
        OSError: ``socket.gaierror`` says why there are none.
        UnicodeError: this cannot be a name.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def tell(addresses: list[str], error: Exception | None) -> None:
        if found.cancelled():
            return
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)

    def ask() -> None:
        addresses: list[str] = []
        failure: Exception | None = None
        try:
            entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except (OSError, UnicodeError) as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, addresses, failure)

    # Of its own and a daemon: a pool's threads are waited for when the process ends.
    try:
        threading.Thread(target=ask, name="name", daemon=True).start()
    except RuntimeError as error:  # the machine has no more
        raise OSError(errno.EAGAIN, "no thread can be started") from error
    return await found
