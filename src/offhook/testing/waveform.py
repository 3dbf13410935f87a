"""Pictures and comparisons of recorded speech: an SVG waveform, and how alike two recordings are.

Samples are int16, mono, 8 kHz unless a function says otherwise.
"""

from __future__ import annotations

import array
import math
import statistics
import sys
import wave
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

__all__ = ["channels_of", "draw_waveform", "envelope", "likeness", "place_of", "speech_envelope"]

FRAME_SAMPLES = 160
PIECE_FRAMES = 25
SLACK_FRAMES = 3


def channels_of(path: Path) -> tuple[int, list[array.array[int]]]:
    """Read a 16-bit WAV file: its rate in Hz, and the samples of each channel."""
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2:
            raise ValueError(f"{path.name}: 16-bit samples are needed, not {8 * file.getsampwidth()}-bit")
        samples = array.array("h", file.readframes(file.getnframes()))
        if sys.byteorder == "big":
            samples.byteswap()
        count = file.getnchannels()
        return file.getframerate(), [samples[channel::count] for channel in range(count)]


def envelope(samples: Sequence[int], frame_samples: int = FRAME_SAMPLES) -> list[float]:
    """Loudness per frame: the root mean square of each ``frame_samples``, the last partial frame left out."""
    frames = len(samples) // frame_samples
    return [
        math.sqrt(sum(s * s for s in samples[i * frame_samples : (i + 1) * frame_samples]) / frame_samples)
        for i in range(frames)
    ]


def speech_envelope(rate_hz: int, channels: Sequence[Sequence[int]]) -> list[float]:
    """Loudness of the first channel per 20 ms, whatever the rate, without the silence at both ends."""
    loudness = envelope(channels[0], rate_hz // 50)
    floor = max(loudness, default=0.0) / 50
    loud = [i for i, value in enumerate(loudness) if value > floor]
    return loudness[loud[0] : loud[-1] + 1] if loud else []


def place_of(reference: Sequence[float], heard: Sequence[float]) -> tuple[int, float]:
    """Where an envelope lies in another: (offset in frames, correlation from -1 to 1).

    A jitter buffer stretches and squeezes what is heard: each half second may lie up to 60 ms off. Both must be
    longer than 10 frames and ``heard`` at least as long as ``reference``, or (0, 0.0) comes back.
    """
    length = len(reference)
    if length < 10 or len(heard) < length:
        return 0, 0.0
    offset = max(range(len(heard) - length + 1), key=lambda at: _correlation(reference, heard[at : at + length]))
    aligned: list[float] = []
    for start in range(0, length, PIECE_FRAMES):
        aligned.extend(_nearest(reference[start : start + PIECE_FRAMES], heard, offset + start))
    return offset, _correlation(reference, aligned)


def _nearest(piece: Sequence[float], heard: Sequence[float], place: int) -> Sequence[float]:
    """What was heard about there that is most like the piece."""
    first, last = max(0, place - SLACK_FRAMES), min(place + SLACK_FRAMES, len(heard) - len(piece))
    return max((heard[at : at + len(piece)] for at in range(first, last + 1)), key=lambda it: _correlation(piece, it))


def _correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Pearson's, of two sequences of one length; 0 where one of them is flat."""
    try:
        return statistics.correlation(one, other)
    except statistics.StatisticsError:
        return 0.0


def likeness(reference: Sequence[int], heard: Sequence[int]) -> float:
    """How well the loudness of ``reference`` is found in ``heard``, 0 to 1. Speech against other speech: below 0.8."""
    return max(0.0, place_of(envelope(reference), envelope(heard))[1])


def draw_waveform(path: Path, picture: Path, *, width: int = 900, height_per_channel: int = 120) -> None:
    """Draw a WAV file as an SVG: a lane per channel, the peak of each pixel column, a line each second."""
    rate, channels = channels_of(path)
    names = ["caller", "node"] if len(channels) == 2 else [""] * len(channels)
    seconds = len(channels[0]) / rate if channels and channels[0] else 0.0
    height = height_per_channel * len(channels) + 24
    lanes = [
        _lane(samples, names[i], i * height_per_channel, width, height_per_channel)
        for i, samples in enumerate(channels)
    ]
    marks = [
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 24}" stroke="#ddd"/>'
        f'<text x="{x + 2:.1f}" y="{height - 8}">{second} s</text>'
        for second in range(math.ceil(seconds))
        for x in [second / seconds * width]
    ]
    picture.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
        + "".join(marks + lanes)
        + "</svg>\n",
        encoding="utf-8",
    )


def _lane(samples: Sequence[int], name: str, top: int, width: int, height: int) -> str:
    """One channel as a filled path."""
    middle = top + height / 2
    columns = min(width, max(1, len(samples)))
    edges = [round(i * len(samples) / columns) for i in range(columns + 1)]
    peaks = [max((abs(s) for s in samples[a:b]), default=0) / 32768 * height / 2 for a, b in pairwise(edges)]
    step = width / columns
    upper = " ".join(f"L{i * step:.1f},{middle - peak:.1f}" for i, peak in enumerate(peaks))
    lower = " ".join(f"L{i * step:.1f},{middle + peak:.1f}" for i, peak in reversed(list(enumerate(peaks))))
    return f'<path d="M0,{middle} {upper} {lower} Z" fill="#2463a8"/><text x="4" y="{top + 12}">{name}</text>'
