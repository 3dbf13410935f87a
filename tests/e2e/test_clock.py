"""The machine's clock is set during calls, while a client is away, and before a start."""

from __future__ import annotations

import contextlib
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
from rig.node import NodeProcess, serving
from rig.processes import connected_again
from rig.recording import fetch, record
from rig.relay import RelayPeer
from rig.waiting import until

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


def is_kept(node: NodeProcess, what: bytes) -> bool:
    """Whether it stands in the journal, or in the tail of it."""
    for path in node.state_dir.glob("journal.sqlite*"):
        with contextlib.suppress(FileNotFoundError):  # tails come and go
            if what in path.read_bytes():
                return True
    return False


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
        mark = goes.caller.rtp.mark()
        await relay.close()
        set_on(step)
        await until(lambda: "the machine's clock was set" in node.log(), "what is too old is looked for")
        await goes.caller.rtp.hears(75, mark)  # the recording is as long by now
        await goes.caller.bye()
        await until(lambda: is_kept(node, b'"ended"'), "its end is kept for who is away")
        again = await connected_again(node, relay.protocol, time.monotonic(), 60)
        finished = await again.event("record", lambda e: e.state == "finished")
        assert finished.params["control_id"] == "r"
        await again.state(goes.call, "ended")
        assert not [e for e in again.events if "truncated" in e.type]
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
    kept, looked = (tmp_path / "state" / name for name in ("recordings/kept.wav", "housekeeping.json"))

    async def serve_and_look() -> None:
        """It looks for what is old when it begins to serve, and has removed that before it ends."""
        before = looked.read_bytes() if looked.exists() else b""
        with serving(tmp_path, extra=extra):
            await until(lambda: looked.exists() and looked.read_bytes() != before, "it looks for what is old")

    await serve_and_look()
    kept.write_bytes(b"RIFF")
    set_on(31 * DAY_S)
    await serve_and_look()
    assert kept.exists()
    looked.unlink()
    await serve_and_look()
    assert kept.exists()
