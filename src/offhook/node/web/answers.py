"""What the headers of an answer say of audio, and sentences about what is none."""

from __future__ import annotations

import re

from offhook.node.web.response import Response

__all__ = ["is_whole", "unplayable"]

_COMPRESSED = re.compile(r"\b(gzip|deflate|compress|br|zstd)\b", re.IGNORECASE)
"""Content codings that change the bytes (RFC 9110, 8.4.1). Whatever else a server says there, it does not mean."""
_WHOLE_RANGE = re.compile(r"bytes 0-(\d{1,18})/(\d{1,18})")


def is_whole(response: Response) -> bool:
    """A part that nobody asked for, which is all of it."""
    found = _WHOLE_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return response.status == 206 and found is not None and int(found[1]) + 1 == int(found[2])


def unplayable(response: Response, why: str) -> str:
    """What a server sent, and what is played instead."""
    coding = response.headers.get("Content-Encoding", "")
    if _COMPRESSED.search(coding):
        return f"compressed content ({coding}), which nobody asked for"
    if why.startswith("a WAV file"):
        return f"{why}; WAV and MP3 are played"
    kind = response.content_type if response.headers.get("Content-Type") else "something without a type"
    looks = f" (it looks like {why})" if why else ""
    return f"{kind}, which is no WAV or MP3{looks}: these two are played"
