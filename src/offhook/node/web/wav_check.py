"""The header of a WAV file, as its bytes come: whether the engine will play what follows. No IO."""

from __future__ import annotations

import struct

from offhook.node.web.not_audio import NotAudio

__all__ = ["WavCheck"]

_MAX_CHUNKS = 1000
"""Before the samples: each costs microseconds of the loop."""
_NAMES = b"fmt data fact PEAK LIST list JUNK junk PAD FLLR bext id3 ID3 iXML axml chna cue smpl inst plst _PMX ds64"
_KNOWN_CHUNKS = frozenset(name.ljust(4) for name in _NAMES.split())
_SAMPLES = {(1, 8), (1, 16), (1, 24), (1, 32), (1, 64), (3, 32), (3, 64), (6, 8), (7, 8)}
"""Format tags and bits that are read."""
_UNKNOWN_FROM = 0x7FFF0000
"""Sizes from here on were written before the size was known."""


class WavCheck:
    """The chunks before the samples; ``look`` says how many bytes to pass over, 0 when all is well, None for more."""

    def __init__(self) -> None:
        self._order = ""
        self._is_odd = False
        self._block = 0
        self._chunks = 0
        self._at = 0
        self._riff_end: int | None = None

    def look(self, kept: bytes, is_whole: bool) -> int | None:
        step = self._chunk(kept, is_whole)
        if step is None and is_whole:
            raise NotAudio("a WAV file that ends before its samples begin")
        self._at += step or 0
        return step

    def _chunk(self, kept: bytes, is_whole: bool) -> int | None:
        if not self._order:
            if len(kept) < 12:
                return None
            self._order = ">" if kept.startswith(b"RIFX") else "<"
            (size,) = struct.unpack_from(self._order + "I", kept, 4)
            self._riff_end = size + 8 if size < _UNKNOWN_FROM else None
            return 12
        if self._is_odd:
            if len(kept) < 5:
                return None
            self._is_odd = False
            if kept[1:5] in _KNOWN_CHUNKS or not (
                kept[:4] in _KNOWN_CHUNKS or all(0x21 <= byte <= 0x7E for byte in kept[:4])
            ):
                return 1
        zeros = len(kept) - len(kept.lstrip(b"\0"))
        if zeros:
            return zeros
        if len(kept) < 8:
            return None
        name = kept[:4]
        (size,) = struct.unpack_from(self._order + "I", kept, 4)
        if name == b"data":
            return self._data(kept, size, is_whole)
        if name == b"fmt ":
            if len(kept) < 8 + min(size, 40):
                return None
            self._block = _block(self._order, size, kept[8 : 8 + min(size, 40)])
        self._is_odd = size % 2 == 1
        self._chunks += 1
        if self._chunks > _MAX_CHUNKS:
            raise NotAudio(f"a WAV file with more than {_MAX_CHUNKS} chunks before its samples")
        return 8 + int(size)

    def _data(self, kept: bytes, size: int, is_whole: bool) -> int | None:
        if not self._block:
            raise NotAudio("a WAV file that has data before its format")
        known = size if 0 < size < _UNKNOWN_FROM else None
        if size == 0 and len(kept) >= 16 and kept[8:12] in _KNOWN_CHUNKS and self._riff_end is not None:
            (behind,) = struct.unpack_from(self._order + "I", kept, 12)
            if self._at + 16 + behind <= self._riff_end + 1:
                known = 0
        if (known is not None and known < self._block) or (is_whole and len(kept) - 8 < self._block):
            raise NotAudio("a WAV file that holds no samples")
        return None if len(kept) - 8 < max(self._block, 8) and not is_whole else 0


def _block(order: str, size: int, body: bytes) -> int:
    """Bytes of one instant, of a format that is read."""
    if size < 14:
        raise NotAudio(f"a WAV file whose format has {size} bytes, which is too few to say anything")
    tag, channels, rate_hz, _, align = struct.unpack_from(order + "HHIIH", body)
    if not 1 <= channels <= 8:
        raise NotAudio(f"a WAV file with {channels} channels: use mono or stereo")
    if not 4000 <= rate_hz <= 192_000:
        raise NotAudio(f"a WAV file at {rate_hz} Hz: use 8000 to 48000 Hz")
    if tag == 0xFFFE and len(body) >= 28:
        (tag,) = struct.unpack_from(order + "I", body, 24)
    container = align // channels * 8 if align % channels == 0 else 0
    bits = container if size < 16 else struct.unpack_from(order + "H", body, 14)[0]
    is_loose = bits == 24 or bits % 8 != 0
    held = container if is_loose and bits <= container <= 64 else -(-bits // 8) * 8
    if (tag, held) not in _SAMPLES:
        raise NotAudio(f"a WAV file of format {tag} with {bits} bits: convert to 16-bit PCM")
    return int(held // 8 * channels)
