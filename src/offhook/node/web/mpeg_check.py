"""The first frame of an MP3, as its bytes come, behind tags and whatever else people put there. No IO."""

from __future__ import annotations

import re
import struct

from offhook.node.web.not_audio import NotAudio

__all__ = ["MpegCheck"]

_MAX_JUNK = 256 << 10
"""Bytes that are neither frame, tag nor zero before the first frame."""
_MAX_TAGS = 1000
"""Tags and false frame headers that are looked at: each costs microseconds of the loop."""
_INTERESTING = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]|ID3|APETAGEX")
_BIT_RATES = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)


def _frame(kept: bytes, at: int) -> tuple[int, int, int] | None:
    """Bytes, rate and channels of the frame of layer III whose header is here; of a free format, 0 bytes."""
    if len(kept) < at + 4 or kept[at] != 0xFF:
        return None
    second, third, fourth = kept[at + 1 : at + 4]
    version = second >> 3 & 3
    if second & 0xE6 != 0xE2 or version == 1 or third >> 4 == 15 or third >> 2 & 3 == 3:
        return None
    is_full = version == 3
    rate_hz = (44_100, 48_000, 32_000)[third >> 2 & 3] >> (0 if is_full else 1 if version == 2 else 2)
    bit_rate = _BIT_RATES[is_full][third >> 4] * 1000
    size = (144 if is_full else 72) * bit_rate // rate_hz + (third >> 1 & 1) if bit_rate else 0
    return size, rate_hz, 1 if fourth >> 6 == 3 else 2


class MpegCheck:
    """The first frame of MP3: one that another follows where it ends; like ``WavCheck``."""

    def __init__(self, looks_like: str) -> None:
        self._looks_like = looks_like
        self._junk = 0
        self._tags = 0
        self._is_free = False

    def look(self, kept: bytes, is_whole: bool) -> int | None:
        if len(kept) < 32 and not is_whole:
            return None
        if not kept or self._junk > _MAX_JUNK or self._tags > _MAX_TAGS:
            raise self._none()
        tag = _tag(kept)
        frame = _frame(kept, 0)
        if tag:
            self._tags += 1
            return tag
        if frame is not None and frame[0] == 0:
            self._is_free |= self._junk == 0
        elif frame is not None:
            is_one = _is_followed(kept, frame, is_whole)
            if is_one is not False:
                return 0 if is_one else None
            self._tags += 1
        found = _INTERESTING.search(kept, 1)
        # What begins in the last bytes may go on behind them.
        passed = found.start() if found else len(kept) if is_whole else max(1, len(kept) - 7)
        self._junk += passed - kept.count(0, 0, passed)
        return passed

    def _none(self) -> NotAudio:
        return NotAudio("MP3 of the free format" if self._is_free else self._looks_like)


def _is_followed(kept: bytes, frame: tuple[int, int, int], is_whole: bool) -> bool | None:
    """The frame at the start is followed by another of its kind, a tag, or the end; None: more is needed."""
    size = frame[0]
    if len(kept) < size + 10 and not is_whole:
        return None
    if len(kept) < size:
        return False
    behind = _frame(kept, size)
    if behind is not None:
        return behind[0] > 0 and behind[1:] == frame[1:]
    rest = kept[size : size + 11]
    return any(word.startswith(rest) or rest.startswith(word) for word in (b"TAG", b"APETAGEX", b"ID3", b"LYRICSBEGIN"))


def _tag(kept: bytes) -> int:
    """Size of the ID3v2 or APE tag that begins here, or 0."""
    if kept.startswith(b"ID3") and len(kept) >= 10:
        major, minor, flags, *size = kept[3:10]
        if major != 0xFF and minor != 0xFF and max(size) <= 0x7F:
            length = size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3]
            return 10 + length + (10 if flags & 0x10 else 0)
    if kept.startswith(b"APETAGEX") and len(kept) >= 24:
        (items,) = struct.unpack_from("<I", kept, 12)
        return 32 + (int(items) if kept[23] & 0x20 else 0)
    return 0
