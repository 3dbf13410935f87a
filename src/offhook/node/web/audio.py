"""Whether what a server sends is audio that the engine plays: WAV or MP3, by its bytes, as they come. No IO.

The rules are those of the engine (``crates/codec``), and both are held to ``vectors/prompts``. What is refused here
gets a sentence while the program still waits for its ``play``, instead of an error later.
"""

from __future__ import annotations

from offhook.node.web.mpeg_check import MpegCheck
from offhook.node.web.not_audio import NotAudio
from offhook.node.web.wav_check import WavCheck

__all__ = ["AudioCheck", "NotAudio"]

_WAV = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_LOOKS_LIKE = (
    (b"OggS", "Ogg"),
    (b"fLaC", "FLAC"),
    (b"FORM", "AIFF"),
    (b"#!AMR", "AMR"),
    (b"\x1a\x45\xdf\xa3", "WebM"),
    (b"\x1f\x8b", "gzip"),
    (b"<", "HTML or XML"),
    (b"{", "JSON"),
    (b"[", "JSON"),
    (b"%PDF", "PDF"),
)


class AudioCheck:
    """Give it the body piece by piece, then ``finish``. It keeps no more than it needs to decide."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._start = b""
        self._skip = 0
        self._format: WavCheck | MpegCheck | None = None
        self._is_decided = False

    def feed(self, block: bytes) -> None:
        """Look at the next bytes.

        Raises:
            NotAudio: it is none; nothing further need be read.
        """
        if self._is_decided:
            return
        if len(self._start) < 16:
            self._start = (self._start + block[:16])[:16]
        self._kept += block
        self._look(is_whole=False)

    def finish(self) -> None:
        """The body is over.

        Raises:
            NotAudio: it was none.
        """
        if not self._is_decided:
            self._look(is_whole=True)

    def _look(self, *, is_whole: bool) -> None:
        if self._format is None:
            if len(self._start) < 12 and not is_whole:
                return
            self._format = WavCheck() if _is_wav(self._start) else MpegCheck(_looks_like(self._start))
        while not self._is_decided:
            if self._skip:
                skipped = min(self._skip, len(self._kept))
                del self._kept[:skipped]
                self._skip -= skipped
                if self._skip and not is_whole:
                    return
            step = self._format.look(bytes(self._kept), is_whole)
            if step is None:
                return
            if step == 0:
                self._is_decided = True
                self._kept.clear()
            self._skip = step


def _is_wav(start: bytes) -> bool:
    """As far as it goes."""
    is_named = any(name.startswith(start[:4]) for name in _WAV)
    return bool(start) and is_named and b"WAVE".startswith(start[8:12])


def _looks_like(start: bytes) -> str:
    if start[4:8] == b"ftyp":
        return "MP4 or M4A"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((name for magic, name in _LOOKS_LIKE if text.startswith(magic)), "")
