"""G.722 as spandsp has it: the oracle of ours, and the ear of tests with wideband peers."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rig.audio import Samples

__all__ = ["VECTORS", "WIDEBAND_HZ", "Decoder", "Encoder", "vectors"]

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "g722"
WIDEBAND_HZ = 16_000
BITS_PER_S = 64_000


def library() -> ctypes.CDLL:
    spandsp = ctypes.CDLL(ctypes.util.find_library("spandsp") or "libspandsp.so.2")
    for name in ("g722_encode_init", "g722_decode_init"):
        function = getattr(spandsp, name)
        function.restype, function.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    for name in ("g722_encode", "g722_decode"):
        function = getattr(spandsp, name)
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
    for name in ("g722_encode_free", "g722_decode_free"):
        getattr(spandsp, name).argtypes = [ctypes.c_void_p]
    return spandsp


class Encoder:
    """16 kHz to codes of 64 kbit/s; it goes on where the call before ended."""

    def __init__(self) -> None:
        self._spandsp = library()
        self._state = self._spandsp.g722_encode_init(None, BITS_PER_S, 0)

    def __del__(self) -> None:
        self._spandsp.g722_encode_free(self._state)

    def encode(self, samples: Samples) -> bytes:
        """The codes of an even number of samples."""
        given = np.ascontiguousarray(samples, dtype=np.int16)
        codes = np.zeros(len(given) // 2, dtype=np.uint8)
        count = self._spandsp.g722_encode(self._state, codes.ctypes.data, given.ctypes.data, len(given))
        return codes[:count].tobytes()


class Decoder:
    """Codes of 64 kbit/s to 16 kHz; it goes on where the call before ended."""

    def __init__(self) -> None:
        self._spandsp = library()
        self._state = self._spandsp.g722_decode_init(None, BITS_PER_S, 0)

    def __del__(self) -> None:
        self._spandsp.g722_decode_free(self._state)

    def decode(self, codes: bytes) -> Samples:
        """Two samples of each code."""
        given = np.frombuffer(codes, dtype=np.uint8).copy()
        samples = np.zeros(2 * len(given), dtype=np.int16)
        count = self._spandsp.g722_decode(self._state, samples.ctypes.data, given.ctypes.data, len(given))
        return samples[:count]


def random_bytes(count: int) -> bytes:
    """Of a generator of 32 bits that anybody can write (Numerical Recipes, section 7.1), its upper bytes."""
    state, drawn = 1, bytearray()
    for _ in range(count):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        drawn.append(state >> 24)
    return bytes(drawn)


def signal() -> Samples:
    """1 s at 16 kHz: a sweep to 8 kHz, noise, the loudest square wave, silence, a quiet tone; a fifth each."""
    fifth = WIDEBAND_HZ // 5
    time = np.arange(fifth) / WIDEBAND_HZ
    sweep = np.round(20_000 * np.sin(2 * np.pi * 8000 / (2 * 0.2) * time**2))
    noise = np.frombuffer(random_bytes(2 * fifth), dtype="<i2").astype(float)
    square = np.where(np.arange(fifth) // 11 % 2 == 0, 32_767, -32_768)
    tone = np.round(60 * np.sin(2 * np.pi * 3100 * time))
    return np.concatenate([sweep, noise, square, np.zeros(fifth), tone]).astype("<i2")


def vectors() -> Iterator[tuple[str, bytes]]:
    """Each file of ``vectors/g722``, as spandsp makes it."""
    samples = signal()
    codes = Encoder().encode(samples)
    yield "signal.s16", samples.astype("<i2").tobytes()
    yield "signal.g722", codes
    yield "signal-decoded.s16", Decoder().decode(codes).astype("<i2").tobytes()
    junk = random_bytes(4000)
    yield "junk.g722", junk
    yield "junk-decoded.s16", Decoder().decode(junk).astype("<i2").tobytes()


if __name__ == "__main__":
    for name, content in vectors():
        (VECTORS / name).write_bytes(content)
