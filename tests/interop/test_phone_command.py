"""``offhook call`` against a phone that answers, and one that does not."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from offhook.node.engine.ops import Tone, ToneSource
from offhook.testing.phone import Phone
from rig import audio
from rig.node import command, environment


@asynccontextmanager
async def offhook_call(*arguments: str) -> AsyncIterator[Process]:
    """The command, running; killed if a test leaves it so."""
    words = [*command(), "call", *arguments]
    caller = await asyncio.create_subprocess_exec(
        *words, stdout=PIPE, stderr=STDOUT, env=environment(), preexec_fn=heed_interrupts
    )
    try:
        yield caller
    finally:
        if caller.returncode is None:
            caller.kill()
            await caller.communicate()


def heed_interrupts() -> None:
    """What a shell starts in its background ignores SIGINT, and so does all that it starts: a terminal's does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def said(caller: Process) -> str:
    output, _ = await asyncio.wait_for(caller.communicate(), 60)
    return output.decode()


async def test_it_waits_for_a_prompt_presses_keys_and_keeps_what_it_heard(tmp_path: Path) -> None:
    options = ["--press", "5", "--out", str(tmp_path / "heard.wav")]
    async with Phone() as phone, offhook_call(phone.uri, *options) as caller:
        call = await phone.answer_next()
        await call.plays_source(ToneSource([Tone(300, [440.0])]))
        await call.hears_digit("5")
        await call.hangup()
        text = await said(caller)
    assert caller.returncode == 0, text
    words = ["answered", "hears something", "presses 5", "the other end hung up", "what was heard"]
    places = [text.index(word) for word in words]
    assert places == sorted(places)
    assert (tmp_path / "heard.wav").stat().st_size > 4800


async def test_it_tells_that_something_was_heard_also_when_it_only_listens(tmp_path: Path) -> None:
    async with Phone() as phone, offhook_call(phone.uri) as caller:
        call = await phone.answer_next()
        playing = asyncio.create_task(call.plays_source(ToneSource([Tone(60_000, [440.0])])))
        assert caller.stdout
        heard = await asyncio.wait_for(caller.stdout.readuntil(b"hears something\n"), 60)
        await call.hangup()
        await asyncio.gather(playing, return_exceptions=True)
        text = await said(caller)
    assert caller.returncode == 0, text
    assert b"answered" in heard
    assert "the other end hung up" in text


async def test_it_says_a_text_and_plays_a_file_each_in_its_turn(tmp_path: Path) -> None:
    audio.write_wav(tmp_path / "tone.wav", audio.tone(697, 1.0))
    options = ["--say", "Good morning, this is a test.", "--play", str(tmp_path / "tone.wav")]
    async with Phone() as phone, offhook_call(phone.uri, *options) as caller:
        call = await phone.answer_next()
        await call.plays_source(ToneSource([Tone(300, [440.0])]))
        await call.hears_energy(within_s=30, lasting_s=0.3)
        await call.hears_silence(within_s=30)
        await call.plays_source(ToneSource([Tone(300, [440.0])]))
        await call.hears_tone(697, within_s=30, lasting_s=0.8)
        await call.hangup()
        text = await said(caller)
    assert caller.returncode == 0, text
    words = ["says 'Good morning, this is a test.'", "plays tone.wav", "the other end hung up"]
    places = [text.index(word) for word in words]
    assert places == sorted(places)


async def test_interrupted_it_hangs_up() -> None:
    async with Phone() as phone, offhook_call(phone.uri) as caller:
        call = await phone.answer_next()
        caller.send_signal(signal.SIGINT)
        await call.waits_ended(within_s=30)
        text = await said(caller)
    assert caller.returncode == 130
    assert "Traceback" not in text


async def test_where_nobody_answers_it_gives_up_after_its_seconds() -> None:
    async with Phone() as phone, offhook_call(phone.uri, "--seconds", "1") as caller:
        await phone.rings()
        text = await said(caller)
    assert caller.returncode == 1
    assert "Nobody answered within the ring timeout" in text
