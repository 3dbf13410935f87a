"""Speech as WAV files, for whoever is no node: the phone, the demo."""

from __future__ import annotations

import tempfile
import wave
from pathlib import Path
from typing import Self

from offhook.errors import ProviderError
from offhook.node.engine.prompts import Asker, PromptCache
from offhook.node.speech.espeak import EspeakSpeech
from offhook.node.speech.workers import SpeechWorkers

__all__ = ["WavSpeaker"]


class WavSpeaker:
    """Speaks texts into WAV files of a temporary directory; use it with ``async with``, then call it."""

    def __init__(self, *, language: str = "en-US", gender: str = "male", voice: str = "") -> None:
        self._language = language
        self._gender = gender
        self._voice = voice

    async def __aenter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="oh-speech-")
        self._root = Path(self._directory.name)
        self._cache = PromptCache(self._root)
        workers = SpeechWorkers(timeout_s=5.0, number=1)
        self._speech = EspeakSpeech(self._cache, workers, self._ended, settle_s=60.0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._speech.close()
        self._directory.cleanup()

    async def __call__(self, text: str) -> Path:
        """A WAV file (int16, mono) of the text.

        Raises:
            CallerError: it cannot be spoken; says why.
            ProviderError: the synthesiser failed.
        """
        asker = Asker(text)
        try:
            return await self._wav(text, asker)
        finally:
            asker.close()

    async def _wav(self, text: str, asker: Asker) -> Path:
        source = await self._speech.synthesize(
            text, asker, language=self._language, gender=self._gender, voice=self._voice
        )
        if source.growing:
            raise ProviderError("the text took longer than a minute to speak: say less at once")
        path = self._root / f"{source.prompt}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(source.rate_hz)
            file.writeframes(self._cache.path(source.prompt).read_bytes())
        return path

    async def _ended(self, prompt: str, size_bytes: int) -> None:
        """Nobody plays while it grows."""
