"""Addresses of a host, looked up where nobody waits for a name server that is silent."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Sequence

from aiohappyeyeballs import AddrInfoType

__all__ = ["Resolver"]

_Found = Sequence[AddrInfoType] | Exception


class Resolver:
    """Looks up the host of one client, in one thread at a time.

    The system's resolver cannot be interrupted. asyncio asks it in threads that it waits for when the loop is closed,
    and Python for all of them when it ends: while a name server is silent a program would not end. Nobody waits for
    the thread here.
    """

    def __init__(self) -> None:
        self._under_way: asyncio.Future[_Found] | None = None
        self._asked: tuple[str, int] | None = None

    def __repr__(self) -> str:
        return f"Resolver(is_looking={self._under_way is not None})"

    async def look_up(self, host: str, port: int) -> Sequence[AddrInfoType]:
        """Addresses for TCP; who asks again while the answer is awaited gets the same.

        Raises:
            OSError: there is none, or nobody says.
        """
        with contextlib.suppress(socket.gaierror, UnicodeError):  # a name
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        if self._under_way is None or self._asked != (host, port):
            loop = asyncio.get_running_loop()
            self._asked, self._under_way = (host, port), loop.create_future()
            arguments = (loop, self._under_way, host, port)
            try:
                threading.Thread(target=self._ask, args=arguments, name="offhook: name lookup", daemon=True).start()
            except RuntimeError as error:  # the machine has no more
                self._under_way = None
                raise OSError(errno.EAGAIN, "no thread can be started to look up the name") from error
        found = await asyncio.shield(self._under_way)
        if isinstance(found, Exception):
            raise found
        return found

    def _ask(self, loop: asyncio.AbstractEventLoop, under_way: asyncio.Future[_Found], host: str, port: int) -> None:
        """In the thread."""
        try:
            found: _Found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # UnicodeError: no host can have such a name
            found = error if isinstance(error, OSError) else OSError(f"{host!r} is no host name: {error}")
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
            loop.call_soon_threadsafe(self._tell, under_way, found)

    def _tell(self, under_way: asyncio.Future[_Found], found: _Found) -> None:
        if under_way is self._under_way:
            self._under_way = None
        if not under_way.done():
            under_way.set_result(found)
