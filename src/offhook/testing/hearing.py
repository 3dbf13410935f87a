"""What a simulated phone makes of what it hears: levels and tones, in pure Python."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence

__all__ = ["RATE_HZ", "SILENCE_DBM0", "Hearing", "level_dbm0", "tone_share"]

RATE_HZ = 8000
SILENCE_DBM0 = -45.0
"""Quieter than this is silence: below speech, above the noise of G.711."""

_FULL_SCALE_DBM0 = 6.15
"""Of a square wave: a full-scale sine is 3.14 dBm0."""


def level_dbm0(samples: Sequence[int]) -> float:
    """Level of int16 samples; -120 for digital silence."""
    power = sum(sample * sample for sample in samples) / max(1, len(samples))
    return 10 * math.log10(power / 32768**2) + _FULL_SCALE_DBM0 if power > 0 else -120.0


def tone_share(samples: Sequence[int], *frequencies_hz: float) -> float:
    """Which share of the energy lies at these frequencies, by Goertzel; 0 for silence."""
    energy = sum(sample * sample for sample in samples)
    if not energy:
        return 0.0
    found = sum(_goertzel(samples, frequency) for frequency in frequencies_hz)
    return min(1.0, 2 * found / (len(samples) * energy))


def _goertzel(samples: Sequence[int], frequency_hz: float) -> float:
    factor = 2 * math.cos(2 * math.pi * frequency_hz / RATE_HZ)
    last = before = 0.0
    for sample in samples:
        last, before = sample + factor * last - before, last
    return last * last + before * before - factor * last * before


class Hearing:
    """All that was heard, int16 mono 8 kHz, and how far it was searched.

    Each search goes on where the last hit ended, so that questions in a row are answered in order.
    """

    def __init__(self) -> None:
        self.samples = array("h")
        self.cursor = 0

    @property
    def length_s(self) -> float:
        """How much was heard."""
        return len(self.samples) / RATE_HZ

    def add(self, offset_ms: int, block: bytes) -> None:
        """Lay a block at its time; what was dropped before it is silence."""
        missing = offset_ms * RATE_HZ // 1000 - len(self.samples)
        if missing > 0:
            self.samples.frombytes(bytes(2 * missing))
        self.samples.frombytes(block)

    def find_tone(self, frequencies_hz: tuple[float, ...], lasting_s: float) -> float | None:
        """Where these frequencies, together, hold four fifths of the energy for so long; seconds, or None."""

        def is_tone(window: Sequence[int]) -> bool:
            return level_dbm0(window) > SILENCE_DBM0 and tone_share(window, *frequencies_hz) > 0.8

        return self._find(is_tone, lasting_s, window_samples=400)

    def find_energy(self, least_dbm0: float, lasting_s: float) -> float | None:
        """Where it is at least so loud for so long; seconds, or None."""
        return self._find(lambda window: level_dbm0(window) >= least_dbm0, lasting_s, window_samples=160)

    def find_silence(self, most_dbm0: float, lasting_s: float) -> float | None:
        """Where it is at most so loud for so long; seconds, or None."""
        return self._find(lambda window: level_dbm0(window) <= most_dbm0, lasting_s, window_samples=160)

    def _find(self, matches: Callable[[Sequence[int]], bool], lasting_s: float, window_samples: int) -> float | None:
        needed = max(1, round(lasting_s * RATE_HZ / window_samples))
        run = 0
        begin = self.cursor
        while begin + window_samples <= len(self.samples):
            run = run + 1 if matches(self.samples[begin : begin + window_samples]) else 0
            begin += window_samples
            if run == needed:
                self.cursor = begin
                return (begin - needed * window_samples) / RATE_HZ
        # What cannot belong to a later hit is not searched again.
        self.cursor = begin - run * window_samples
        return None
