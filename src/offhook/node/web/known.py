"""What URLs gave last time, and until when that is fresh (RFC 9111, as much of it as a prompt needs)."""

from __future__ import annotations

import re
from collections import OrderedDict

import msgspec

from offhook.node.web.response import Response

__all__ = ["KnownUrl", "KnownUrls"]

_MOST = 1000
_DAY_S = 86400
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])", re.IGNORECASE)
_NO_STORE = re.compile(r"no-store|no-cache", re.IGNORECASE)


class KnownUrl(msgspec.Struct, frozen=True):
    """What a URL gave last time. ``fresh_until``: seconds of a clock that nobody sets."""

    prompt: str
    etag: str
    last_modified: str
    fresh_until: float

    @property
    def condition(self) -> dict[str, str]:
        """Headers that ask for it only if it is another by now."""
        if self.etag:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.last_modified} if self.last_modified else {}


class KnownUrls:
    """The thousand that were fetched last."""

    def __init__(self) -> None:
        self._urls: OrderedDict[str, KnownUrl] = OrderedDict()

    def get(self, url: str) -> KnownUrl | None:
        """What is known of one."""
        return self._urls.get(url)

    def remember(self, url: str, prompt: str, response: Response, now: float) -> None:
        """What an answer says of itself."""
        headers = response.headers
        control = headers.get("Cache-Control", "")
        age = _MAX_AGE.search(control)
        fresh_s = int(age[1]) if age is not None and not _NO_STORE.search(control) else 0
        self._urls[url] = KnownUrl(
            prompt, headers.get("ETag", ""), headers.get("Last-Modified", ""), now + min(fresh_s, _DAY_S)
        )
        self._urls.move_to_end(url)
        while len(self._urls) > _MOST:
            self._urls.popitem(last=False)
