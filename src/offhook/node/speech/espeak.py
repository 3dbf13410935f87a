"""Text to speech by espeak-ng: a text becomes a prompt file that can be played while it grows."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from offhook.errors import CallerError, MachineError, OffhookError, ProviderError
from offhook.node.engine.ops import FileSource
from offhook.node.engine.prompts import PromptCache
from offhook.node.speech.espeak_worker import Request
from offhook.node.speech.sentences import split
from offhook.node.speech.ssml import is_ssml, sanitise
from offhook.node.speech.voices import Voices
from offhook.node.speech.worker import SpeechWorker

__all__ = ["EspeakSpeech", "PromptEnd"]

PromptEnd = Callable[[str, int], Awaitable[None]]
"""Tells the engine the final size of a growing prompt in bytes, -1 when it failed."""

_log = structlog.get_logger(__name__)


class EspeakSpeech:
    """The ``Speech`` of ``calls.ports``. The same words by the same voice are spoken once and kept.

    ``settle_s``: how long a caller waits for the whole text once its first piece is there; most texts make it.
    """

    def __init__(
        self,
        cache: PromptCache,
        worker: SpeechWorker,
        prompt_end: PromptEnd,
        *,
        max_characters: int = 10_000,
        names: Mapping[str, str] | None = None,
        settle_s: float = 0.03,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._cache = cache
        self._worker = worker
        self._prompt_end = prompt_end
        self._max_characters = max_characters
        self._names = dict(names or {})
        self._settle_s = settle_s
        self._now = now
        self._voices: Voices | None = None
        self._jobs: dict[str, _Job] = {}
        self._replaced: set[str] = set()

    async def start(self) -> None:
        """Load the synthesiser, so that the first text need not wait for it."""
        await self._installed()

    async def synthesize(self, text: str, *, language: str, gender: str, voice: str) -> FileSource:
        """See ``offhook.node.calls.ports.Speech``. Cancelling the caller leaves the text to be finished and kept."""
        if not text.strip():
            raise CallerError("the text is empty")
        if len(text) > self._max_characters:
            raise CallerError(
                f"the text has {len(text)} characters, at most {self._max_characters} are spoken: split it"
            )
        voices, rate_hz, version = await self._installed()
        choice = voices.choose(language=language, gender=gender, voice=voice)
        if choice.replaced and voice not in self._replaced and len(self._replaced) < 1000:
            self._replaced.add(voice)
            _log.warning("voice is not installed, another speaks", voice=voice, instead=choice.voice)
        ssml = is_ssml(text)
        pieces = [sanitise(text)] if ssml else split(text)
        if not pieces:
            raise CallerError("the text has nothing that can be spoken")
        name = "tts-" + hashlib.sha256("\0".join((version, choice.voice, str(ssml), text)).encode()).hexdigest()[:48]
        if self._cache.find(name, self._now()) is not None:
            return FileSource(name, "pcm_s16le", rate_hz)
        job = self._jobs.get(name) or self._begin(name, pieces, choice.voice, ssml)
        return FileSource(name, "pcm_s16le", rate_hz, growing=await job.wait(self._settle_s))

    async def close(self) -> None:
        """Stop speaking; what is unfinished is removed."""
        jobs = list(self._jobs.values())
        for job in jobs:
            job.task.cancel()
        await asyncio.gather(*(job.task for job in jobs), return_exceptions=True)
        await self._worker.close()

    async def _installed(self) -> tuple[Voices, int, str]:
        ready = await self._worker.ready()
        if self._voices is None:
            self._voices = Voices(ready.voices, self._names)
        return self._voices, ready.rate_hz, ready.version

    def _begin(self, name: str, pieces: list[str], voice: str, ssml: bool) -> _Job:
        job = _Job()
        job.task = asyncio.create_task(self._speak(job, name, pieces, voice, ssml), name=f"speak {name}")
        self._jobs[name] = job
        return job

    async def _speak(self, job: _Job, name: str, pieces: list[str], voice: str, ssml: bool) -> None:
        """Piece after piece; whatever ends it, waiters and engine are told."""
        size = -1
        try:
            if self._cache.is_trim_due(self._now()):
                await asyncio.to_thread(self._cache.trim, self._now())
            path = str(self._cache.begin(name))
            for piece in pieces:
                await self._worker.speak(Request(piece, voice, path, ssml))
                job.first.set()
            size = self._cache.complete(name, self._now())
        except OSError as error:
            job.failure = MachineError(f"the prompts directory cannot be written: {error.strerror}")
            job.failure.__cause__ = error
        except OffhookError as error:
            job.failure = error
        finally:
            del self._jobs[name]
            if size < 0:
                self._cache.discard(name)
                job.failure = job.failure or ProviderError("the node stops speaking")
            job.first.set()
            job.over.set()
        if job.is_played:
            await self._prompt_end(name, size)


class _Job:
    """One text on its way. ``is_played``: somebody has it as a growing file."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.over = asyncio.Event()
        self.failure: OffhookError | None = None
        self.is_played = False

    async def wait(self, settle_s: float) -> bool:
        """Until there is something to hear; True while more comes."""
        await self.first.wait()
        try:
            async with asyncio.timeout(settle_s):
                await self.over.wait()
        except TimeoutError:
            self.is_played = True
            return True
        if self.failure is not None:
            raise self.failure
        return False
