"""Real speech by the real worker, and what happens when it hangs, dies or is asked for the impossible."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from offhook.errors import CallerError, MachineError, ProviderError
from offhook.node.engine.ops import FileSource
from offhook.node.engine.prompts import Asker, PromptCache
from offhook.node.speech import espeak_worker
from offhook.node.speech.espeak import EspeakSpeech
from offhook.node.speech.espeak_worker import Request
from offhook.node.speech.ssml import split_ssml
from offhook.node.speech.workers import SpeechWorkers


class Node:
    """Speech with its parts at hand."""

    def __init__(self, directory: Path, timeout_s: float = 5.0) -> None:
        self.cache = PromptCache(directory)
        self.workers = SpeechWorkers(timeout_s=timeout_s, number=1)
        self.worker = self.workers.workers[0]
        self.ends: list[tuple[str, int]] = []
        self.speech = EspeakSpeech(self.cache, self.workers, self._end, names={"receptionist": "en-gb+f2"})

    async def _end(self, prompt: str, size_bytes: int) -> None:
        self.ends.append((prompt, size_bytes))

    async def say(
        self, text: str, asker: Asker | None = None, language: str = "en-US", gender: str = "female", voice: str = ""
    ) -> FileSource:
        asker = asker or Asker("call")
        return await self.speech.synthesize(text, asker, language=language, gender=gender, voice=voice)

    def samples(self, source: FileSource) -> np.ndarray:
        return np.frombuffer(self.cache.path(source.prompt).read_bytes(), "<i2")


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    made = Node(tmp_path)
    yield made
    await made.speech.close()


async def test_a_sentence_becomes_a_second_of_audible_speech(node: Node) -> None:
    source = await node.say("Welcome to the office, press one for sales.")
    samples = node.samples(source)
    assert (source.encoding, source.rate_hz, source.growing) == ("pcm_s16le", 22050, False)
    assert 1.0 < len(samples) / 22050 < 6.0
    assert np.sqrt(np.mean(np.square(samples.astype(float)))) > 500


async def test_the_same_words_are_spoken_once(node: Node) -> None:
    first, second = await asyncio.gather(node.say("Hello again."), node.say("Hello again."))
    third = await node.say("Hello again.")
    assert first == second == third
    assert len(list(node.cache.directory.iterdir())) == 1


async def test_language_gender_and_voice_are_heard(node: Node) -> None:
    sources = [
        await node.say("Hello there."),
        await node.say("Hello there.", gender="male"),
        await node.say("Hello there.", language="de-DE"),
        await node.say("Hello there.", voice="receptionist"),
    ]
    assert len({node.cache.path(source.prompt).read_bytes() for source in sources}) == 4


async def test_a_cloud_voice_is_spoken_by_the_default_of_its_language(node: Node) -> None:
    plain = await node.say("Guten Tag.", language="de-DE")
    assert await node.say("Guten Tag.", language="en-US", voice="gcloud.de-DE-Neural2-A") == plain
    assert await node.say("Guten Tag.", language="de-DE", voice="josh") == plain


async def test_ten_thousand_characters_can_be_played_before_they_are_all_spoken(node: Node) -> None:
    text = "This sentence has about forty characters. " * 238
    source = await node.say(text)
    if source.growing:
        async with asyncio.timeout(30):
            while not node.ends:
                await asyncio.sleep(0.01)
        assert node.ends == [(source.prompt, node.cache.path(source.prompt).stat().st_size)]
    assert len(node.samples(source)) / 22050 > 300


async def test_ssml_pauses_and_is_not_read_aloud(node: Node) -> None:
    plain = await node.say("Hello you.")
    paused = await node.say('<speak>Hello <break time="2s"/> you.</speak>')
    assert len(node.samples(paused)) - len(node.samples(plain)) > 22050 * 1.5


async def test_a_document_of_many_pieces_lasts_as_long_as_in_one_piece(node: Node, tmp_path: Path) -> None:
    """Its pauses are all heard, wherever it is cut."""
    part = "<p><s>This is one sentence of some length, which fills most of one piece by itself, no more.</s> </p> "
    document = "<speak>" + (part + '<break time="3s"/> ') * 6 + "</speak>"
    source = await node.say(document)
    async with asyncio.timeout(30):
        while node.speech.is_busy:
            await asyncio.sleep(0.01)
    whole = tmp_path / "whole"
    whole.touch()
    await node.worker.speak(Request(document, "gmw/en-US+f3", str(whole), True))
    assert len(split_ssml(document)) == 6
    assert len(node.samples(source)) == pytest.approx(whole.stat().st_size / 2, rel=0.1)


async def test_a_text_with_angle_brackets_is_plain(node: Node) -> None:
    assert len(node.samples(await node.say("x < y, AT&T <b>"))) > 11025


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("", {}, "empty"),
        ("   \n", {}, "empty"),
        ("x" * 10_001, {}, "10001 characters, at most 10000"),
        ("hello", {"language": "tlh"}, "no installed voice speaks 'tlh'"),
        ("hello", {"language": "not a tag!"}, "language must be a tag"),
        ("hello", {"gender": "robot"}, "gender must be male or female"),
        ("<speak>oops", {}, "not well-formed at line 1"),
    ],
)
async def test_what_cannot_be_spoken_is_refused_with_a_sentence(
    node: Node, text: str, options: dict[str, str], sentence: str
) -> None:
    with pytest.raises(CallerError, match=sentence):
        await node.say(text, **options)


async def test_a_worker_that_hangs_is_killed_at_the_limit_and_the_next_text_is_spoken(tmp_path: Path) -> None:
    node = Node(tmp_path, timeout_s=0.5)
    await node.speech.start()
    hung = node.worker.pid
    assert hung is not None
    os.kill(hung, signal.SIGSTOP)
    with pytest.raises(ProviderError, match=r"longer than 0\.5 s"):
        await node.say("Is anybody there?")
    assert not list(tmp_path.iterdir())
    assert (await node.say("Is anybody there?")).prompt
    assert node.worker.pid != hung
    await node.speech.close()


async def test_a_worker_that_dies_is_started_again(node: Node) -> None:
    await node.speech.start()
    assert node.worker.pid is not None
    os.kill(node.worker.pid, signal.SIGKILL)
    with contextlib.suppress(ProviderError):  # raised if the death was not yet seen when the text was sent
        await node.say("One.")
    assert node.samples(await node.say("Two.")).size


async def test_a_cancelled_caller_leaves_the_text_to_the_others(node: Node) -> None:
    await node.speech.start()
    one, two = asyncio.create_task(node.say("We share this.")), asyncio.create_task(node.say("We share this."))
    await asyncio.sleep(0)
    one.cancel()
    assert node.samples(await two).size
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_an_unfinished_file_of_a_crashed_node_is_spoken_anew(node: Node) -> None:
    source = await node.say("Once more.")
    whole = node.samples(source)
    path = node.cache.begin(source.prompt)
    path.write_bytes(b"\1\2")
    again = node.samples(await node.say("Once more."))
    assert abs(len(again) - len(whole)) < 2205  # espeak-ng varies from one utterance to the next


@pytest.mark.parametrize(
    ("characters", "max_mib", "error", "sentence"),
    [
        (396, 5, MachineError, r"this call plays half of what others leave of 5 MiB for audio \(tts\.cache_mib\)"),
        (19_996, 1024, CallerError, r"longer than half an hour, or than tts\.cache_mib has room for: split it"),
    ],
)
async def test_a_text_that_lasts_longer_than_there_is_room_for_is_an_error_and_leaves_nothing(
    tmp_path: Path, characters: int, max_mib: int, error: type[Exception], sentence: str
) -> None:
    """It was cut off after half an hour, and nobody was told."""
    node = Node(tmp_path)
    node.cache = PromptCache(tmp_path, max_bytes=max_mib << 20)
    node.speech = EspeakSpeech(node.cache, node.workers, node._end, settle_s=60.0, max_characters=20_000)
    with pytest.raises(error, match=sentence):
        await node.say("777 " * (characters // 4))
    assert not list(tmp_path.iterdir())
    await node.speech.close()


async def test_a_piece_ends_where_its_room_does(node: Node, tmp_path: Path) -> None:
    await node.speech.start()
    path = tmp_path / "piece"
    path.touch()
    assert await node.worker.speak(Request("Hello there, this is long.", "gmw/en", str(path), False, 1000)) == 1000
    assert path.stat().st_size == 1000


async def test_the_worker_gets_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch, node: Node) -> None:
    monkeypatch.setenv("OFFHOOK_TOKEN", "secret")
    await node.speech.start()
    assert b"secret" not in Path(f"/proc/{node.worker.pid}/environ").read_bytes()


def test_the_worker_loads_nothing_of_ours_so_that_the_first_text_need_not_wait() -> None:
    command = [sys.executable, "-P", "-X", "importtime", espeak_worker.__file__]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=True)
    modules = [line.rpartition("|")[2].strip() for line in run.stderr.decode().splitlines()]
    assert "msgspec" in modules
    assert [name for name in modules if name.partition(".")[0] in ("offhook", "aiohttp")] == []


async def test_a_call_that_goes_while_the_synthesiser_starts_leaves_no_half_started_one(tmp_path: Path) -> None:
    """Its greeting was unread, and every text after that was refused as long as it lived."""
    made = Node(tmp_path)
    try:
        going = asyncio.create_task(made.say("Hello."))
        async with asyncio.timeout(30):
            while made.worker.pid is None:
                await asyncio.sleep(0)
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        assert (await made.say("Hello.")).prompt
    finally:
        await made.speech.close()
