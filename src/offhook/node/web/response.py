"""What a server of the web answers, up to the bounds of a policy, and sentences about what goes wrong with it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from yarl import URL

from offhook.errors import ProviderError
from offhook.node.web.guard import redirected
from offhook.node.web.policy import Policy

__all__ = ["Response", "faults"]

_REDIRECTS = (301, 302, 303, 307, 308)
_REPEATED = (307, 308)
"""Those that have the same method and content again (RFC 9110, 15.4.8 and 15.4.9)."""
_BLOCK_BYTES = 1 << 16


class Response:
    """An answer of which the head is there. The content is read block by block, or whole."""

    def __init__(self, url: URL, head: aiohttp.ClientResponse, policy: Policy) -> None:
        self.url = url
        self.status = head.status
        self.headers = head.headers
        self._head = head
        self._policy = policy
        self._size_bytes = 0

    @property
    def content_type(self) -> str:
        """Without parameters."""
        with faults(self.url):
            return self._head.content_type

    def redirect(self) -> URL | None:
        """Where else to ask, which has to be checked as the first was; None: the answer is here.

        Raises:
            CallerError: that is no URL that may be asked for.
            ProviderError: it is no URL, it is not said, or what was posted would be lost on the way.
        """
        if self.status not in _REDIRECTS:
            return None
        if self._head.method != "GET" and self.status not in _REPEATED:
            raise ProviderError(f"{self.url.host} redirects by {self.status}, which leaves out what is sent: use 307")
        location = self.headers.get("Location", "")
        if not location:
            raise ProviderError(f"{self.url.host} redirects to nowhere")
        with faults(self.url):
            return redirected(self.url, location)

    def check_length(self) -> None:
        """See what it says of its length, before any of it is read.

        Raises:
            ProviderError: it is too long.
        """
        with faults(self.url):
            self._bound(self._head.content_length or 0)

    async def read(self) -> bytes:
        """The next block; empty at the end.

        Raises:
            ProviderError: it is too long, or broken.
        """
        with faults(self.url):
            block = await self._head.content.read(_BLOCK_BYTES)
        self._size_bytes += len(block)
        self._bound(self._size_bytes)
        return block

    async def content(self) -> bytes:
        """All of it.

        Raises:
            ProviderError: as ``read``.
        """
        self.check_length()
        content = bytearray()
        while block := await self.read():
            content += block
        return bytes(content)

    def _bound(self, size_bytes: int) -> None:
        most, setting = self._policy.max_bytes, self._policy.max_bytes_setting
        if size_bytes > most:
            bound = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most} bytes"
            raise ProviderError(f"{self.url.host} sent more than {bound}" + (f" ({setting})" if setting else ""))


@contextmanager
def faults(url: URL) -> Iterator[None]:
    """Tell what goes wrong with a server of the web in a sentence.

    Raises:
        ProviderError: that is it.
    """
    try:
        yield
    except aiohttp.ServerTimeoutError as error:
        raise ProviderError(f"{url.host} does not answer in time") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise ProviderError(f"{url.host} cannot be fetched from: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "it refuses the connection"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return "it ended the answer early"
    if isinstance(error, OSError) and error.errno in (errno.ECONNRESET, errno.EPIPE):
        return "it ended the answer early"
    return "its answer breaks the rules of HTTP"
