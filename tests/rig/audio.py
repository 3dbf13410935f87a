"""Audio for tests: tones, G.711 by ffmpeg (never by our own codec), SNR and tone measurement."""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "aligned_snr_db",
    "assemble",
    "bursts",
    "decode",
    "dtmf",
    "encode",
    "ideal",
    "read_wav",
    "speech",
    "steady_share",
    "tone",
    "tone_share",
    "write_wav",
]

RATE_HZ = 8000
CODECS = {0: "mulaw", 8: "alaw"}
Samples = NDArray[np.int16]

_LOW, _HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_PAD = "123A456B789C*0#D"


def _ffmpeg(arguments: Sequence[str], data: bytes) -> bytes:
    return subprocess.run(
        ["ffmpeg", "-v", "error", *arguments, "pipe:1"], input=data, capture_output=True, check=True
    ).stdout


@cache
def _codes(payload_type: int) -> NDArray[np.uint8]:
    """What ffmpeg makes of each sample: G.711 remembers nothing, so it is asked once, not in the middle of a call."""
    raw = ["-f", "s16le", "-ar", "8000", "-ac", "1", "-i", "pipe:0", "-f", CODECS[payload_type]]
    return np.frombuffer(_ffmpeg(raw, np.arange(1 << 16, dtype="<u2").tobytes()), np.uint8)


@cache
def _samples(payload_type: int) -> Samples:
    """What ffmpeg makes of each code."""
    raw = ["-f", CODECS[payload_type], "-ar", "8000", "-ac", "1", "-i", "pipe:0", "-f", "s16le"]
    return np.frombuffer(_ffmpeg(raw, bytes(range(256))), "<i2").astype(np.int16)


def encode(samples: Samples, payload_type: int) -> bytes:
    """G.711 by ffmpeg."""
    return _codes(payload_type)[samples.astype(np.int16).view(np.uint16)].tobytes()


def decode(payload: bytes, payload_type: int) -> Samples:
    """G.711 by ffmpeg."""
    return _samples(payload_type)[np.frombuffer(payload, np.uint8)]


def ideal(samples: Samples, payload_type: int) -> Samples:
    """What a perfect G.711 path makes of these samples."""
    return decode(encode(samples, payload_type), payload_type)


def assemble(packets: Sequence[tuple[int, bytes]], payload_type: int) -> Samples:
    """Payloads laid at their timestamps; what is missing is zero."""
    if not packets:
        return np.zeros(0, np.int16)
    decoded = decode(b"".join(payload for _, payload in packets), payload_type)
    begin = packets[0][0]
    offsets = [((t - begin + (1 << 31)) & 0xFFFFFFFF) - (1 << 31) for t, _ in packets]
    out = np.zeros(max(o + len(p) for o, (_, p) in zip(offsets, packets, strict=True)), np.int16)
    at = 0
    for offset, (_, payload) in zip(offsets, packets, strict=True):
        if offset >= 0:
            out[offset : offset + len(payload)] = decoded[at : at + len(payload)]
        at += len(payload)
    return out


def tone(frequency_hz: float, seconds: float, level: float = 0.3, rate_hz: int = RATE_HZ) -> Samples:
    n = np.arange(int(seconds * rate_hz))
    return (np.sin(2 * np.pi * frequency_hz * n / rate_hz) * level * 32767).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE_HZ), np.int16)


def dtmf(key: str, seconds: float = 0.1, level: float = 0.2) -> Samples:
    at = _PAD.index(key)
    return tone(_LOW[at // 4], seconds, level) + tone(_HIGH[at % 4], seconds, level)


def speech(text: str, path: Path) -> Samples:
    """Speech by the espeak-ng program and sox, at 8 kHz, also written to ``path``."""
    raw = path.with_suffix(".raw.wav")
    subprocess.run(["espeak-ng", "-w", str(raw), text], check=True, capture_output=True)
    subprocess.run(
        ["sox", "-R", "-G", str(raw), "-r", "8000", "-b", "16", "-c", "1", str(path)],
        check=True,
        capture_output=True,
    )
    return np.asarray(read_wav(path)[0])


def write_wav(path: Path, samples: Samples, rate_hz: int = RATE_HZ) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def read_wav(path: Path, rate_hz: int = RATE_HZ) -> Samples:
    """Channels by samples, decoded by ffmpeg, as the file says (no resampling); it must be of ``rate_hz``."""
    probe = ["ffprobe", "-v", "error", "-show_entries", "stream=channels,sample_rate", "-of", "csv=p=0", str(path)]
    rate, channels = subprocess.run(probe, capture_output=True, check=True, text=True).stdout.strip().split(",")
    assert int(rate) == rate_hz, f"{rate} Hz"
    data = _ffmpeg(["-i", str(path), "-f", "s16le"], b"")
    return np.frombuffer(data, "<i2").reshape(-1, int(channels)).T.astype(np.int16)


def aligned_snr_db(original: Samples, received: Samples) -> tuple[float, int]:
    """SNR of what was received against the original at the best alignment, and that offset in samples."""
    source, heard = original.astype(float), received.astype(float)
    size = 1 << int(np.ceil(np.log2(len(source) + len(heard))))
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(source, size))
    offset = int(np.argmax(np.fft.irfft(spectrum, size)[: max(1, len(heard) - len(source) + 1)]))
    part = heard[offset : offset + len(source)]
    noise = np.sum((part - source[: len(part)]) ** 2)
    return float(10 * np.log10(np.sum(source[: len(part)] ** 2) / max(noise, 1e-9))), offset


def tone_share(samples: Samples, frequency_hz: float, rate_hz: int = RATE_HZ) -> float:
    """Which share of the energy lies at a frequency (0 to 1); 0 for silence."""
    data = samples.astype(float)
    energy = np.sum(data**2)
    if energy < len(data) * 100:
        return 0.0
    n = np.arange(len(data))
    bin_value = np.abs(np.sum(data * np.exp(-2j * np.pi * frequency_hz * n / rate_hz)))
    return float(min(1.0, 2 * bin_value**2 / len(data) / energy))


def steady_share(samples: Samples, frequency_hz: float, rate_hz: int = RATE_HZ) -> float:
    """The median of :func:`tone_share` over frames of 20 ms: blind to jumps of phase between them."""
    size = rate_hz // 50
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    return float(np.median([tone_share(frame, frequency_hz, rate_hz) for frame in frames])) if len(frames) else 0.0


def bursts(samples: Samples, frequency_hz: float, threshold: float = 0.1) -> list[tuple[int, int]]:
    """Where a tone is on: (first sample, one after the last), found by its envelope (band of 200 Hz)."""
    n = np.arange(len(samples))
    mixed = samples.astype(float) / 32768 * np.exp(-2j * np.pi * frequency_hz * n / RATE_HZ)
    width = 40
    envelope = 2 * np.abs(np.convolve(mixed, np.ones(width) / width, "same"))
    on = np.flatnonzero(np.diff(np.concatenate([[0], (envelope > threshold).astype(int), [0]])))
    return [(int(a), int(b)) for a, b in zip(on[::2], on[1::2], strict=True) if b - a > width]
