"""The machine's clock is set during calls, while a client is away, and before a start."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rig import audio
from rig.dialog import Caller
from rig.fixtures import answered
from rig.node import serving
from rig.processes import connected_again
from rig.recording import fetch, record
from rig.relay import RelayPeer

HOUR_S, DAY_S = 3600, 86400
SOURCE = Path(__file__).parents[1] / "rig" / "set_clock.c"


@pytest.fixture
def clock(tmp_path: Path) -> tuple[dict[str, str], Callable[[int], None]]:
    """Variables for a node whose clock is ours to set, and what sets it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: the clock of another process cannot be set without one")
    library, ahead = tmp_path / "set_clock.so", tmp_path / "ahead"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True)
    ahead.write_text("0")

    def set_on(seconds: int) -> None:
        descriptor = os.open(ahead, os.O_WRONLY)
        os.pwrite(descriptor, f"{seconds:<20}\n".encode(), 0)
        os.close(descriptor)

    return {"LD_PRELOAD": str(library), "CLOCK_OF_A_TEST": str(ahead)}, set_on


@pytest.mark.parametrize("step", [HOUR_S, -HOUR_S, 31 * DAY_S])
async def test_a_clock_that_is_set_ends_no_call_and_loses_nothing_of_a_client_that_is_away(
    tmp_path: Path, clock: tuple[dict[str, str], Callable[[int], None]], step: int
) -> None:
    extra, set_on = clock
    with serving(tmp_path, extra=extra) as node:
        relay = RelayPeer(node)
        await relay.connect()
        talks = [await answered(await Caller.open(node.sip()), relay) for _ in range(2)]
        stays, goes = talks
        await record(goes)
        goes.caller.rtp.play(audio.tone(440, 1.0))
        await relay.close()
        set_on(step)
        await asyncio.sleep(6.0)  # what is too old is looked for every 5 s
        await goes.caller.bye()
        await asyncio.sleep(0.5)
        again = await connected_again(node, relay.protocol, time.monotonic(), 60)
        finished = await again.event("record", lambda e: e.state == "finished")
        assert finished.params["control_id"] == "r"
        await again.state(goes.call, "ended")
        assert not [e for e in again.events if "truncated" in e.type]
        assert "the machine's clock was set" in node.log()
        silence = [{"type": "silence", "params": {"duration": 0.1}}]
        await again.command(stays.call, "play", control_id="after", play=silence)
        await again.finished("play", "after")
        [speech, *_] = audio.read_wav(await fetch(node, finished.params["url"], tmp_path / "r.wav"))
        assert len(speech) > 8000
        following = await answered(await Caller.open(node.sip()), again)
        for talk in (stays, following):
            await again.command(talk.call, "end")
            await talk.caller.ended_by_node()
            await again.state(talk.call, "ended")
        for talk in (*talks, following):
            talk.caller.close()
        await again.close()


async def test_a_start_with_a_clock_31_days_ahead_deletes_no_recording(
    tmp_path: Path, clock: tuple[dict[str, str], Callable[[int], None]]
) -> None:
    extra, set_on = clock
    kept = tmp_path / "state" / "recordings" / "kept.wav"
    with serving(tmp_path, extra=extra):
        kept.write_bytes(b"RIFF")
    set_on(31 * DAY_S)
    with serving(tmp_path, extra=extra) as node:
        async with RelayPeer(node):
            await asyncio.sleep(1.0)  # it looks for what is old when it begins to serve
        assert kept.exists()
    (tmp_path / "state" / "housekeeping.json").unlink()
    with serving(tmp_path, extra=extra) as node:
        async with RelayPeer(node):
            await asyncio.sleep(1.0)
        assert kept.exists()
