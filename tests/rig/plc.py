"""How well lost packets were concealed: ours against spandsp's, and packets that came but were not heard."""

from __future__ import annotations

import ctypes
import ctypes.util

import numpy as np
from numpy.typing import NDArray

from rig.audio import Samples

__all__ = ["judge", "spandsp_error_db"]

FRAME = 160
SEARCH = 800
HEARD_DB = 12.0


def spectrum_db(frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power in bands of 267 Hz (240 samples, 8 bins each)."""
    power = np.abs(np.fft.rfft(frame * np.hanning(len(frame)))) ** 2
    return np.asarray(10 * np.log10(power[:120].reshape(15, 8).sum(axis=1) + 1e3))


def error_db(original: NDArray[np.float64], concealed: NDArray[np.float64]) -> float:
    """Distance of two stretches by their spectra in bands (RMS of decibels): what is heard, not the phase."""
    return float(np.sqrt(np.mean((spectrum_db(original) - spectrum_db(concealed)) ** 2)))


def place(ideal: NDArray[np.float64], got: NDArray[np.float64], near: int) -> tuple[int, float]:
    """Where in ``got`` (near an offset) a stretch lies best, and its SNR there."""
    low = max(0, near - SEARCH)
    window = got[low : near + SEARCH + len(ideal)]
    if len(window) < len(ideal):
        return near, -99.0
    views = np.lib.stride_tricks.sliding_window_view(window, len(ideal))
    noise = ((views - ideal) ** 2).sum(axis=1)
    best = int(np.argmin(noise))
    return low + best, float(10 * np.log10((ideal**2).sum() / max(noise[best], 1e-9)))


def judge(ideal: Samples, recorded: Samples, gone: list[int]) -> tuple[float, float]:
    """(share of audible frames that came but are not in the recording, concealment error in dB over the lost ones)."""
    source, got = ideal.astype(float), recorded.astype(float)
    size = 1 << int(np.ceil(np.log2(len(source) + len(got))))
    peak = np.argmax(np.fft.irfft(np.fft.rfft(got, size) * np.conj(np.fft.rfft(source, size)), size))
    offset = int(peak)
    lost, audible, unheard, errors = set(gone), 0, 0, []
    shift = offset
    for number in range(len(source) // FRAME):
        at = number * FRAME
        frame = source[at : at + FRAME]
        if np.sqrt(np.mean(frame**2)) < 200:
            continue
        if number in lost and at >= 40:
            around = source[at - 40 : at + FRAME + 40]
            errors.append(error_db(around, got[at + shift - 40 : at + shift + FRAME + 40]))
            continue
        audible += 1
        found, snr = place(frame, got, at + shift)
        if snr > HEARD_DB:
            shift = found - at
        elif not {number - 1, number + 1} & lost:
            unheard += 1
    return unheard / max(1, audible), float(np.mean(errors)) if errors else 0.0


def spandsp_error_db(ideal: Samples, gone: list[int]) -> float:
    """The same distance for spandsp's concealment of the same losses."""
    name = ctypes.util.find_library("spandsp") or "libspandsp.so.2"
    library = ctypes.CDLL(name)
    library.plc_init.restype = ctypes.c_void_p
    library.plc_init.argtypes = [ctypes.c_void_p]
    for function in (library.plc_rx, library.plc_fillin):
        function.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int16), ctypes.c_int]
    state = library.plc_init(None)
    out = ideal.copy()
    lost = set(gone)
    for number in range(len(ideal) // FRAME):
        frame = np.ascontiguousarray(out[number * FRAME : (number + 1) * FRAME])
        pointer = frame.ctypes.data_as(ctypes.POINTER(ctypes.c_int16))
        (library.plc_fillin if number in lost else library.plc_rx)(state, pointer, FRAME)
        out[number * FRAME : (number + 1) * FRAME] = frame
    errors = []
    for number in gone:
        at = number * FRAME
        frame = ideal[at : at + FRAME].astype(float)
        if np.sqrt(np.mean(frame**2)) >= 200 and at >= 40:
            window = slice(at - 40, at + FRAME + 40)
            errors.append(error_db(ideal[window].astype(float), out[window].astype(float)))
    return float(np.mean(errors)) if errors else 0.0
