"""A process of its own that speaks by espeak-ng: one text at a time, appended to a file.

espeak-ng is GPL and not reentrant: nothing but this process loads it. Frames on standard input and output are
u32 big endian length and msgpack, as ``Request`` and ``Done`` (``Ready`` first) say. Ends with its standard input.

Started by its path and importing nothing of ours, so that it speaks a tenth of a second after its start.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

__all__ = ["Done", "InstalledVoice", "Ready", "Request", "main"]

_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_CHARS_UTF8 = 1
_SSML = 0x10
_CHARACTERS = 1
_OK = 0
_FLUSH_BYTES = 1 << 16


class Request(msgspec.Struct, frozen=True):
    """Append what ``text`` sounds like to ``path`` (int16, little endian, mono), until it has ``max_bytes`` more."""

    text: str
    voice: str
    path: str
    ssml: bool = False
    max_bytes: int = 32 << 20


class InstalledVoice(msgspec.Struct, frozen=True):
    """One voice of the synthesiser: its name, its file and the language tags that it speaks."""

    name: str
    identifier: str
    languages: list[str]


class Ready(msgspec.Struct, frozen=True):
    """What this synthesiser is and has."""

    version: str
    rate_hz: int
    voices: list[InstalledVoice]


class Done(msgspec.Struct, frozen=True):
    """The end of one request: bytes appended, or what failed."""

    size_bytes: int = 0
    error: str = ""


class _Voice(ctypes.Structure):
    """``espeak_VOICE`` of speak_lib.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Synthesiser:
    """The library, loaded once."""

    def __init__(self) -> None:
        import espeakng_loader

        self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        self._library.espeak_Info.restype = ctypes.c_char_p
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        data = str(espeakng_loader.get_data_path()).encode()
        self.rate_hz = int(self._library.espeak_Initialize(_SYNCHRONOUS, 200, data, _DO_NOT_EXIT))
        if self.rate_hz <= 0:
            raise OSError(f"espeak-ng did not start with its data in {data.decode()}")
        self.version = self._library.espeak_Info(None).decode()
        self._take: Callable[[bytes], bool] = lambda _: False
        self._callback = _SynthCallback(self._on_samples)
        self._library.espeak_SetSynthCallback(self._callback)

    def voices(self) -> list[InstalledVoice]:
        """What ``espeak_ListVoices`` has."""
        listed = self._library.espeak_ListVoices(None)
        found: list[InstalledVoice] = []
        while listed[len(found)]:
            voice = listed[len(found)].contents
            tags = _languages(voice.languages)
            found.append(InstalledVoice(voice.name.decode(), voice.identifier.decode(), tags))
        return found

    def speak(self, request: Request, take: Callable[[bytes], bool]) -> str:
        """Hand samples to ``take`` until it returns False; returns what failed, or nothing."""
        if self._library.espeak_SetVoiceByName(request.voice.encode()) != _OK:
            return f"espeak-ng has no voice {request.voice!r}"
        self._take = take
        text = request.text.replace("\0", " ").encode()
        flags = _CHARS_UTF8 | (_SSML if request.ssml else 0)
        status = self._library.espeak_Synth(text, len(text) + 1, 0, _CHARACTERS, 0, flags, None, None)
        return "" if status == _OK else f"espeak-ng failed with status {status}"

    def _on_samples(self, samples: Any, count: int, _events: Any) -> int:
        if not samples or count <= 0:
            return 0
        return 0 if self._take(ctypes.string_at(samples, count * 2)) else 1


class _Appender:
    """Samples on their way to a file, in blocks of 64 KiB."""

    def __init__(self, path: str, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._block = bytearray()
        self.size_bytes = 0

    def take(self, samples: bytes) -> bool:
        samples = samples[: self._max_bytes - self.size_bytes]
        self._block += samples
        self.size_bytes += len(samples)
        if len(self._block) >= _FLUSH_BYTES:
            self._flush()
        return self.size_bytes < self._max_bytes

    def close(self) -> None:
        try:
            self._flush()
        finally:
            os.close(self._descriptor)

    def _flush(self) -> None:
        while self._block:
            del self._block[: os.write(self._descriptor, self._block)]


def main() -> None:
    """Serve requests until standard input ends."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the library may print; frames must stay frames
    synthesiser = Synthesiser()
    _write(replies, Ready(synthesiser.version, synthesiser.rate_hz, synthesiser.voices()))
    decoder = msgspec.msgpack.Decoder(Request)
    while len(header := requests.read(4)) == 4:
        request = decoder.decode(requests.read(int.from_bytes(header, "big")))
        _write(replies, _serve(synthesiser, request))


def _serve(synthesiser: Synthesiser, request: Request) -> Done:
    try:
        appender = _Appender(request.path, request.max_bytes)
        try:
            error = synthesiser.speak(request, appender.take)
        finally:
            appender.close()
    except OSError as failure:
        return Done(error=f"{Path(request.path).name} cannot be written: {failure.strerror}")
    return Done(appender.size_bytes, error)


def _languages(address: int | None) -> list[str]:
    """A list of: priority (one byte, not 0), tag, NUL."""
    tags: list[str] = []
    while address and ctypes.string_at(address, 1) != b"\0":
        tag = ctypes.string_at(address + 1)
        tags.append(tag.decode())
        address += len(tag) + 2
    return tags


def _write(stream: BinaryIO, message: Ready | Done) -> None:
    frame = msgspec.msgpack.encode(message)
    stream.write(len(frame).to_bytes(4, "big") + frame)
    stream.flush()


if __name__ == "__main__":
    main()
