"""Text to speech by espeak-ng: a text becomes a prompt file that can be played while it grows."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from offhook.errors import CallerError, MachineError, OffhookError, ProviderError
from offhook.node.engine.ops import FileSource
from offhook.node.engine.prompts import Asker, PromptCache
from offhook.node.speech.espeak_worker import Request
from offhook.node.speech.job import Job, Utterance
from offhook.node.speech.sentences import split
from offhook.node.speech.ssml import is_ssml, split_ssml
from offhook.node.speech.voices import Voices
from offhook.node.speech.workers import SpeechWorkers

__all__ = ["EspeakSpeech", "PromptEnd"]

PromptEnd = Callable[[str, int], Awaitable[None]]
"""Tells the engine the final size of a growing prompt in bytes, -1 when it failed."""

_log = structlog.get_logger(__name__)
_LONGEST_S = 1800.0
_PIECE_BYTES = 2 << 20
_LONGEST_BYTES = 32 << 20


class EspeakSpeech:
    """The ``Speech`` of ``calls.ports``. The same words by the same voice are spoken once and kept.

    Workers take texts by turns of the calls that wait for them; first words come before what is heard later, and what
    nobody waits for comes last.

    ``settle_s``: how long a caller waits for the whole text once its first piece is there; most texts make it.
    ``wait_s``: how long a piece may wait for its turn after the time when it should be heard.
    """

    def __init__(
        self,
        cache: PromptCache,
        workers: SpeechWorkers,
        prompt_end: PromptEnd,
        *,
        max_characters: int = 10_000,
        names: Mapping[str, str] | None = None,
        wait_s: float = 5.0,
        settle_s: float = 0.03,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._cache = cache
        self._workers = workers
        self._prompt_end = prompt_end
        self._max_characters = max_characters
        self._names = dict(names or {})
        self._wait_s = wait_s
        self._settle_s = settle_s
        self._now = now
        self._voices: Voices | None = None
        self._jobs: dict[str, Job] = {}
        self._replaced: set[str] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a text is not spoken to its end yet."""
        return bool(self._jobs)

    async def start(self) -> None:
        """Load the synthesisers, so that the first text need not wait for them."""
        await self._workers.start()

    async def synthesize(self, text: str, asker: Asker, *, language: str, gender: str, voice: str) -> FileSource:
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
        pieces = split_ssml(text) if ssml else split(text)
        if not pieces:
            raise CallerError("the text has nothing that can be spoken")
        what = "tts-" + hashlib.sha256("\0".join((version, choice.voice, str(ssml), text)).encode()).hexdigest()[:48]
        while (job := self._jobs.get(what)) is not None and job.size_bytes and not self._cache.has(job.utterance.name):
            job.join(asker)  # nobody played it, and its file went for another: it finds that out at its next turn
            await job.over.wait()
        if job is None and (made := self._cache.made(what, self._now())) is not None:
            self._cache.hold(made, asker)
            return FileSource(made, "pcm_s16le", rate_hz)
        if job is None:
            utterance = Utterance(self._cache.name_anew(what), pieces, choice.voice, ssml, rate_hz)
            job = self._jobs[what] = Job(utterance, self._wait_s)
            job.task = asyncio.create_task(self._speak(what, job), name=f"speak {what}")
        name = job.utterance.name
        self._cache.hold(name, asker)
        job.join(asker)
        return FileSource(name, "pcm_s16le", rate_hz, growing=await job.wait(self._settle_s))

    async def close(self) -> None:
        """Stop speaking; what is unfinished is removed."""
        jobs = list(self._jobs.values())
        for job in jobs:
            job.task.cancel()
        await asyncio.gather(*(job.task for job in jobs), return_exceptions=True)
        await self._workers.close()

    async def _installed(self) -> tuple[Voices, int, str]:
        ready = await self._workers.ready()
        if self._voices is None:
            self._voices = Voices(ready.voices, self._names)
        return self._voices, ready.rate_hz, ready.version

    async def _speak(self, what: str, job: Job) -> None:
        """Piece after piece; whatever ends it, waiters and engine are told."""
        name, size = job.utterance.name, -1
        try:
            for piece in job.utterance.pieces:
                await self._speak_piece(job, piece)
                job.first.set()
            size = self._cache.complete(name, self._now())
        except OSError as error:
            job.failure = MachineError(f"the prompts directory cannot be written: {error.strerror}")
            job.failure.__cause__ = error
        except OffhookError as error:
            job.failure = error
        finally:
            del self._jobs[what]
            if size < 0:
                self._cache.discard(name)
                job.failure = job.failure or ProviderError("the node stops speaking")
            job.begun.set()
            job.first.set()
            job.over.set()
        if job.is_played:
            await self._prompt_end(name, size)

    async def _speak_piece(self, job: Job, piece: str) -> None:
        """Append one piece, when it is its turn."""
        utterance, cache = job.utterance, self._cache
        due_in_s = job.due_in_s()
        ticket = job.stand_in_line(self._workers, len(piece))
        async with self._workers.turn(ticket, wait_s=due_in_s + self._wait_s) as worker:
            job.begun.set()
            if not job.size_bytes:
                cache.begin(utterance.name)
            elif not cache.has(utterance.name):
                raise ProviderError("nobody plays the text any more, and it went for another")
            cache.grow(utterance.name, job.size_bytes + _PIECE_BYTES)
            most = min(_PIECE_BYTES + cache.room_bytes, _LONGEST_BYTES)
            path = str(cache.path(utterance.name))
            said = await worker.speak(Request(piece, utterance.voice, path, utterance.ssml, most))
        if not cache.has(utterance.name):
            raise ProviderError("nobody plays the text any more, and it went for another")
        job.size_bytes += said
        if said >= most or job.seconds > _LONGEST_S:
            raise CallerError("the text lasts longer than half an hour, or than tts.cache_mib has room for: split it")
        cache.grow(utterance.name, job.size_bytes)
