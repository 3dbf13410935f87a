"""What made room for others and is spoken again is heard whole, though the engine knew the text before."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from rig.dialog import Caller
from rig.fixtures import Talk, answered
from rig.node import NodeProcess, serving
from rig.relay import Event, RelayPeer

SETTINGS = """
[tts]
cache_mib = 24
workers = 1
timeout_s = 60
wait_s = 60
[[routes]]
match = "1*"
context = "default"
"""
SENTENCE = "This sentence has about forty characters. "
TEXT = SENTENCE * 6
"""Three pieces, some twenty seconds."""
OTHERS = 8
RATE_HZ = 22050


def say(text: str) -> list[dict[str, object]]:
    return [{"type": "tts", "params": {"text": text}}]


async def state(relay: RelayPeer, control_id: str, wanted: str) -> None:
    def is_it(event: Event) -> bool:
        return event.params.get("control_id") == control_id and event.state in (wanted, "error")

    event = await relay.event("play", is_it, within_s=120)
    assert event.state == wanted, event


def files(node: NodeProcess) -> set[Path]:
    return set((node.state_dir / "prompts").glob("tts-*"))


def is_growing(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IWUSR)
    except FileNotFoundError:
        return False


async def until_all_is_spoken(node: NodeProcess) -> None:
    """Also what nobody waits for any more: a worker that is stopped amid it begins nothing else."""
    async with asyncio.timeout(60):
        while any(map(is_growing, files(node))):
            await asyncio.sleep(0.05)


def worker_of(node: NodeProcess) -> int:
    return next(process.pid for process in node.processes() if "espeak_worker" in process.cmdline)


@asynccontextmanager
async def half_spoken(node: NodeProcess, relay: RelayPeer, talk: Talk, loud: Talk, name: str) -> AsyncIterator[Path]:
    """``TEXT`` is played, and its file has its first sentences until this is left."""
    await until_all_is_spoken(node)
    before, worker = files(node), worker_of(node)
    playing = asyncio.create_task(state(relay, name, "playing"))
    os.kill(worker, signal.SIGSTOP)
    try:
        await relay.command(talk.call, "play", control_id=name, play=say(TEXT))
        async with asyncio.timeout(30):
            while not (begun := files(node) - before):
                await asyncio.sleep(0.01)
        for number in range(OTHERS):  # their first words come before what is heard later
            text = f"{name} {number}, " + "and so on and on without an end " * 12
            await relay.command(loud.call, "play", control_id=f"{name} {number}", play=say(text))
        while not playing.done():  # a little at a time: what is told late is not told when all is spoken
            os.kill(worker, signal.SIGCONT)
            await asyncio.sleep(0.005)
            os.kill(worker, signal.SIGSTOP)
            await asyncio.wait([playing], timeout=0.1)
        await playing
        [file] = begun
        assert is_growing(file), "it was whole before it was played: nothing is shown"
        yield file
    finally:
        playing.cancel()
        os.kill(worker, signal.SIGCONT)
    for number in range(OTHERS):
        await relay.command(loud.call, "play.stop", control_id=f"{name} {number}")


async def heard(node: NodeProcess, relay: RelayPeer, talk: Talk, loud: Talk, name: str) -> tuple[Path, float]:
    """The file of ``TEXT``, which grows while it begins to be played, and how many seconds of it are no silence."""
    mark = talk.caller.rtp.mark()
    async with half_spoken(node, relay, talk, loud, name) as file:
        spoken_s = file.stat().st_size / 2 / RATE_HZ  # all of that is heard
        await talk.caller.rtp.hears(round((spoken_s + 1.0) * 50), talk.caller.rtp.mark(), within_s=120)
    await state(relay, name, "finished")
    samples = np.abs(talk.caller.rtp.samples(mark).astype(int))
    audible = samples[: len(samples) // 160 * 160].reshape(-1, 160).max(axis=1) > 500
    return file, float(np.count_nonzero(audible)) / 50


async def until_gone(relay: RelayPeer, loud: Talk, file: Path) -> None:
    number = 0
    while file.exists():
        number += 1
        assert number < 100, "the file never went"
        await relay.command(loud.call, "play", control_id=f"new {number}", play=say(f"Text {number}. {SENTENCE * 10}"))
        await state(relay, f"new {number}", "playing")
        await relay.command(loud.call, "play.stop", control_id=f"new {number}")


@asynccontextmanager
async def two_calls(directory: Path) -> AsyncIterator[tuple[NodeProcess, RelayPeer, Talk, Talk]]:
    """A node with a small cache, whose synthesiser has spoken."""
    with serving(directory, SETTINGS) as node:
        async with RelayPeer(node) as relay:
            quiet, loud = [await answered(await Caller.open(node.sip(), to="100"), relay) for _ in range(2)]
            await relay.command(quiet.call, "play", control_id="warm", play=say("Hello."))
            await state(relay, "warm", "finished")
            yield node, relay, quiet, loud
            for talk in (quiet, loud):
                await talk.caller.bye()
                await relay.state(talk.call, "ended")
                talk.caller.close()


@pytest.mark.timeout(240)
async def test_a_text_that_went_for_others_and_is_spoken_anew_is_heard_whole(tmp_path: Path) -> None:
    """The engine took it for the file that was whole, and ended where it had read all that was spoken so far."""
    async with two_calls(tmp_path / "node") as (node, relay, quiet, loud):
        file, first_s = await heard(node, relay, quiet, loud, "first")
        await until_gone(relay, loud, file)
        _, again_s = await heard(node, relay, quiet, loud, "again")
        assert first_s > 8.0
        assert again_s == pytest.approx(first_s, rel=0.1)
