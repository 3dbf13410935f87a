"""Who waits for whose words, with the real synthesiser; judged by orders and counts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from offhook.errors import MachineError, OffhookError
from offhook.node.engine.ops import FileSource
from offhook.node.engine.prompts import Asker, PromptCache
from offhook.node.speech.espeak import EspeakSpeech
from offhook.node.speech.espeak_worker import Request
from offhook.node.speech.worker import SpeechWorker
from offhook.node.speech.workers import SpeechWorkers

SENTENCE = "This sentence has about forty characters. "
LONG = SENTENCE * 200
SPEAK_S = 3600.0
"""How long a child may take for a piece: it is not what is judged here, and the clock is put forward."""


class CountingWorker(SpeechWorker):
    """The real one; notes what it was given."""

    def __init__(self, spoken: list[str]) -> None:
        super().__init__(timeout_s=SPEAK_S)
        self._spoken = spoken

    async def speak(self, request: Request) -> int:
        self._spoken.append(request.text)
        return await super().speak(request)


class Rig:
    """Speech, and what its workers were given, in order."""

    def __init__(self, directory: Path, *, number: int = 2, wait_s: float = 60.0, max_bytes: int = 1 << 30) -> None:
        self.spoken: list[str] = []
        self.workers = SpeechWorkers(timeout_s=SPEAK_S, number=number, make=lambda: CountingWorker(self.spoken))
        self.cache = PromptCache(directory, max_bytes=max_bytes)
        self.ends: list[tuple[str, int]] = []
        self.speech = EspeakSpeech(self.cache, self.workers, self._end, wait_s=wait_s, settle_s=0.0)

    async def _end(self, prompt: str, size_bytes: int) -> None:
        self.ends.append((prompt, size_bytes))

    def say(self, text: str, call: str | Asker) -> asyncio.Task[FileSource]:
        asker = Asker(call) if isinstance(call, str) else call
        saying = self.speech.synthesize(text, asker, language="en-US", gender="female", voice="")
        return asyncio.create_task(saying)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """The children stand still."""
        pids = [worker.pid for worker in self.workers.workers if worker.pid is not None]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not holds():
                await asyncio.sleep(0.005)

    async def given(self, count: int) -> None:
        """Workers were given so many pieces."""
        await self.until(lambda: len(self.spoken) >= count)

    async def idle(self) -> None:
        """All texts are spoken to their ends."""
        await self.until(lambda: not self.speech.is_busy)

    def listeners(self, text: str) -> int:
        """How many calls wait for a text of one piece."""
        return sum(len(job._listeners) for job in self.speech._jobs.values() if job.utterance.pieces == [text])

    def files_bytes(self) -> int:
        """What the files of the cache hold together, while none goes."""
        return sum(path.stat().st_size for path in self.cache.directory.iterdir())


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    await made.speech.start()
    yield made
    await made.speech.close()


@pytest.fixture
async def skip(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Puts the clock of the loop forward: waits of minutes, of which no slow machine makes another order."""
    loop, ahead_s = asyncio.get_running_loop(), [0.0]
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + ahead_s[0])

    def forward(seconds: float) -> None:
        ahead_s[0] += seconds

    return forward


@pytest.mark.parametrize("ssml", [False, True])
@pytest.mark.parametrize("is_one_call", [False, True])
async def test_sixty_long_texts_let_a_short_one_of_another_call_by(rig: Rig, ssml: bool, is_one_call: bool) -> None:
    """60 SSML texts of 10,000 characters: the next call heard no word within 75 s."""
    with rig.stopped():
        many = [
            rig.say(f"<speak>Text {number}. {LONG}</speak>" if ssml else f"Text {number}. {LONG}", call)
            for number in range(60)
            for call in ["loud" if is_one_call else f"loud {number}"]
        ]
        await rig.given(2)
        quick = rig.say("Hello.", "quiet")
        await asyncio.sleep(0.05)
    await quick
    assert rig.spoken.index("Hello.") <= (2 if is_one_call else 60)
    for task in many:
        task.cancel()
    await asyncio.gather(*many, return_exceptions=True)


async def test_first_words_of_all_come_before_more_of_one(rig: Rig) -> None:
    with rig.stopped():
        texts = [rig.say(f"Text {number}. {LONG}", f"call {number}") for number in range(8)]
        await rig.given(2)
    await asyncio.gather(*texts)
    first = [text.startswith("Text") for text in rig.spoken]
    assert first[:8] == [True] * 8


async def test_what_nobody_waits_for_any_more_comes_last_and_is_finished_all_the_same(rig: Rig) -> None:
    """A greeting that a key ended is wanted whole by the next caller."""
    asker = Asker("gone")
    greeting = await rig.say(f"Greeting. {SENTENCE * 20}", asker)
    asker.close()
    assert greeting.growing
    with rig.stopped():
        before = len(rig.spoken)
        others = [rig.say(f"Other {number}.", f"call {number}") for number in range(6)]
        await asyncio.sleep(0.05)
    await asyncio.gather(*others)
    between = rig.spoken[before : rig.spoken.index("Other 5.")]
    assert sum(not text.startswith("Other") for text in between) <= 2
    await rig.until(lambda: rig.ends)
    assert not (await rig.say(f"Greeting. {SENTENCE * 20}", "next")).growing


async def test_a_text_that_waits_too_long_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    rig = Rig(tmp_path, number=1, wait_s=0.3)
    await rig.speech.start()
    with rig.stopped():
        speaking = rig.say("One.", "loud")
        await rig.given(1)
        waiting = [rig.say("Two.", "quiet"), rig.say("Two.", "other")]
        ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [MachineError, MachineError]
    assert "(tts.wait_s): play fewer texts at once, or raise tts.workers" in str(ends[0])
    await speaking
    assert rig.spoken == ["One."]
    assert len(list(tmp_path.iterdir())) == 1
    await rig.speech.close()


async def test_who_joins_a_text_that_waits_has_a_wait_of_its_own(tmp_path: Path, skip: Callable[[float], None]) -> None:
    """A greeting failed for a call that had waited for half a second, because another call had asked for it before."""
    rig = Rig(tmp_path, number=1, wait_s=600.0)
    await rig.speech.start()
    with rig.stopped():
        speaking = rig.say("One.", "loud")
        await rig.given(1)
        first = rig.say("Two.", "first")
        await rig.until(lambda: len(rig.speech._jobs) == 2)
        skip(400.0)
        second = rig.say("Two.", "second")
        await rig.until(lambda: rig.listeners("Two.") == 2)
        skip(300.0)
        with pytest.raises(MachineError, match=r"waited longer than 600 s .* \(tts\.wait_s\)"):
            await first
        assert not second.done()
    await speaking
    assert (await second).prompt
    assert rig.spoken == ["One.", "Two."]
    await rig.speech.close()


async def test_who_joins_late_is_refused_when_its_own_wait_is_over_and_leaves_nothing(
    tmp_path: Path, skip: Callable[[float], None]
) -> None:
    rig = Rig(tmp_path, number=1, wait_s=600.0)
    await rig.speech.start()
    with rig.stopped():
        speaking = rig.say("One.", "loud")
        await rig.given(1)
        waiting = []
        for number, call in enumerate(("first", "second", "third"), 1):
            waiting.append(rig.say("Two.", call))
            await rig.until(lambda number=number: rig.listeners("Two.") == number)
            skip(200.0)
        for number in range(3):
            ends = await asyncio.gather(waiting[number], return_exceptions=True)
            assert [type(end) for end in ends] == [MachineError]
            assert [task.done() for task in waiting[number + 1 :]] == [False] * (2 - number)
            skip(200.0)
        await rig.until(lambda: len(rig.speech._jobs) == 1)
    await speaking
    assert rig.spoken == ["One."]
    assert len(list(tmp_path.iterdir())) == 1
    await rig.speech.close()


async def test_more_than_64_texts_of_a_call_that_wait_are_refused_and_others_speak(rig: Rig) -> None:
    with rig.stopped():
        many = [rig.say(f"Text {number}.", "loud") for number in range(70)]
        await rig.given(2)
        quick = rig.say("Hello.", "quiet")
        await asyncio.sleep(0.05)
    ends = await asyncio.gather(*many, return_exceptions=True)
    failed = [str(end) for end in ends if isinstance(end, OffhookError)]
    assert failed == ["too many texts wait to be spoken: play fewer at once"] * 4
    assert (await quick).prompt


async def test_many_new_texts_stay_within_the_bound_of_the_cache(tmp_path: Path) -> None:
    """1,821 MiB lay under a bound of 16."""
    bound = 8 << 20
    rig = Rig(tmp_path, max_bytes=bound)
    for number in range(20):
        asker = Asker("call")
        await rig.say(f"Text {number}. {SENTENCE * 10}", asker)
        await rig.idle()
        asker.close()
        assert rig.files_bytes() <= bound
    assert len(list(tmp_path.iterdir())) < 20
    await rig.speech.close()


async def test_a_text_that_finds_no_room_is_refused_with_a_sentence_and_one_that_is_played_stays(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path, max_bytes=6 << 20)
    playing = Asker("playing")
    source = await rig.say(f"First. {SENTENCE * 10}", playing)
    await rig.idle()
    rig.cache.pin("another", "")
    rig.cache.begin("another")
    rig.cache.grow("another", 4 << 20)
    with pytest.raises(MachineError, match=r"of 6 MiB for audio \(tts\.cache_mib\): play less at once"):
        await rig.say("Hello again and again.", "other")
    assert rig.cache.is_held(source.prompt)
    assert len(list(tmp_path.iterdir())) == 2
    playing.close()
    rig.cache.discard("another")
    assert (await rig.say("Hello again and again.", "other")).prompt
    await rig.speech.close()


async def test_texts_that_nobody_plays_any_more_make_room_for_those_that_somebody_does(tmp_path: Path) -> None:
    rig = Rig(tmp_path, max_bytes=8 << 20)
    await rig.speech.start()
    askers = [Asker(f"call {number}") for number in range(3)]
    await asyncio.gather(
        *(rig.say(f"Text {number}. {LONG}", asker) for number, asker in enumerate(askers)), return_exceptions=True
    )
    for asker in askers:
        asker.close()
    assert rig.speech.is_busy
    kept = Asker("quiet")
    for number in range(4):
        assert (await rig.say(f"Hello {number}.", kept)).prompt
    async with asyncio.timeout(120):
        while rig.speech.is_busy:
            await asyncio.sleep(0.01)
            assert sum(path.stat().st_size for path in tmp_path.glob("*") if path.exists()) <= 12 << 20
    assert rig.cache.total_bytes == rig.files_bytes() <= 8 << 20
    assert len([path for path in tmp_path.iterdir() if rig.cache.is_held(path.name)]) == 4
    await rig.speech.close()


async def test_two_children_speak_side_by_side(rig: Rig) -> None:
    with rig.stopped():
        said = [rig.say("One.", "a"), rig.say("Two.", "b"), rig.say("Three.", "c")]
        await rig.given(2)
        await asyncio.sleep(0.05)
        assert len(rig.spoken) == 2
    await asyncio.gather(*said)
    assert sorted(rig.spoken) == ["One.", "Three.", "Two."]


async def test_a_text_that_is_asked_for_after_its_file_went_for_another_is_spoken_anew(tmp_path: Path) -> None:
    """The caller got a growing file that was not there."""
    rig = Rig(tmp_path, number=1)
    await rig.speech.start()
    first = Asker("first")
    source = await rig.say(SENTENCE * 40, first)
    with rig.stopped():
        await rig.given(2)
        first.close()
        rig.cache.discard(source.prompt)
        second = rig.say(SENTENCE * 40, "second")
        await asyncio.sleep(0.05)
    again = await asyncio.wait_for(second, 60)
    assert rig.cache.path(again.prompt).exists()
    await rig.idle()
    assert rig.cache.find(again.prompt, 1.0)
    await rig.speech.close()


async def test_a_text_that_is_spoken_anew_has_a_name_of_its_own(tmp_path: Path) -> None:
    """The engine knows a name as whole, or as failed, once it was told so: it is for one making."""
    names: list[str] = []
    for _ in range(2):  # the next node, too
        rig = Rig(tmp_path, number=1)
        for _ in range(2):
            asker = Asker("call")
            names.append((await rig.say("Hello again.", asker)).prompt)
            assert rig.cache.is_held(names[-1])
            asker.close()
            rig.cache.discard(names[-1])
        await rig.speech.close()
    assert len(set(names)) == 4


async def test_what_was_spoken_is_played_by_the_next_node(tmp_path: Path) -> None:
    sources: list[FileSource] = []
    for _ in range(2):
        rig = Rig(tmp_path, number=1)
        sources.append(await asyncio.wait_for(rig.say("Hello again.", "call"), 60))
        await rig.idle()
        await rig.speech.close()
    assert sources[0].prompt == sources[1].prompt
    assert not sources[1].growing


async def test_a_text_that_failed_is_spoken_anew_under_a_name_that_did_not(tmp_path: Path) -> None:
    """Who asked again was refused for as long as the engine remembered the first try."""
    rig = Rig(tmp_path, number=1)
    await rig.speech.start()
    first = await rig.say(LONG, "call")
    assert first.growing
    pid = rig.workers.workers[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await rig.until(lambda: rig.ends)
    assert rig.ends == [(first.prompt, -1)]
    again = await rig.say(LONG, "call")
    assert again.prompt != first.prompt
    assert [path.name for path in tmp_path.iterdir()] == [again.prompt]
    await rig.speech.close()
