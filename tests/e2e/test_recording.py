"""Recordings against what was sent and heard: the same time line, the same length, whole at every second."""

from __future__ import annotations

import asyncio
import ssl
import time
import wave
from pathlib import Path

import aiohttp
import pytest

from rig import audio
from rig.cpu import Stopwatch
from rig.fixtures import Talk
from rig.node import NodeProcess
from rig.recording import fetch, record, stop


@pytest.mark.judges_time
async def test_a_recording_is_whole_at_every_second(node: NodeProcess, talk: Talk) -> None:
    """A header that is right only at the end is a file of 0 seconds after a crash."""
    known = set(node.state_dir.rglob("*.wav*"))
    rtp, before = talk.caller.rtp, talk.caller.rtp.mark()
    clock, lengths = Stopwatch(node.engine().pid), []

    def waited_s(begin: float, end: float) -> float:
        return end - begin - clock.took(begin, end)

    asked_at = clock.start()
    await record(talk)
    mark, began, late_s = rtp.mark(), time.monotonic(), waited_s(asked_at, time.time())
    for second in range(1, 6):
        watched = clock.start()
        await asyncio.sleep(max(0.0, began + second + 0.3 - time.monotonic()))
        least = len(rtp.heard(mark)) / 50 - waited_s(watched, time.time())
        [path] = [p for p in node.state_dir.rglob("*.wav*") if "recordings" in str(p) and p not in known]
        with wave.open(str(path)) as growing:
            lengths.append(growing.getnframes() / growing.getframerate())
            assert len(growing.readframes(growing.getnframes())) == 2 * growing.getnframes(), "the header says too much"
        most = len(rtp.heard(before)) / 50 + rtp.left_out_s(before)
        assert least - 1.3 < lengths[-1] < most + 0.1, "by the packets that the engine sent meanwhile"
    assert lengths == sorted(lengths)
    asked_at = clock.start()
    done = await stop(talk)
    late_s += waited_s(asked_at, time.time())
    assert done["duration"] == pytest.approx(done["end_time"] - done["first_frame_time"], abs=0.1 + late_s)


@pytest.mark.judges_time
async def test_a_paused_span_is_cut_or_kept_as_silence(node: NodeProcess, talk: Talk, tmp_path: Path) -> None:
    """Told by the packets that the engine sent: before a command, and until it was answered."""
    mark = talk.caller.rtp.mark
    for behavior in ("skip", "silence"):
        marks = [mark()]
        await record(talk)
        marks.append(mark())
        await asyncio.sleep(0.5)
        marks.append(mark())
        await talk.relay.command(talk.call, "record.pause", control_id="r", behavior=behavior)
        await talk.relay.event("record", lambda e: e.state == "paused")
        marks.append(mark())
        await asyncio.sleep(1.0)
        marks.append(mark())
        await talk.relay.command(talk.call, "record.resume", control_id="r")
        marks.append(mark())
        await asyncio.sleep(0.5)
        marks.append(mark())
        done = await stop(talk)
        marks.append(mark())
        [speak] = audio.read_wav(await fetch(node, done["url"], tmp_path / f"{behavior}.wav"))
        length = len(speak) / 8000
        assert done["duration"] == pytest.approx(length, abs=0.001)
        cut_most, cut_least = (marks[5] - marks[2], marks[4] - marks[3]) if behavior == "skip" else (0, 0)
        least, most = (marks[6] - marks[1] - cut_most) / 50, (marks[7] - marks[0] - cut_least) / 50
        assert least - 0.1 < length < most + 0.1


async def test_a_link_that_was_changed_is_refused(node: NodeProcess, talk: Talk) -> None:
    await record(talk)
    await asyncio.sleep(0.3)
    url = (await stop(talk))["url"]
    assert node.token not in url
    context = ssl.create_default_context(cafile=str(node.ca_file))
    changed = url[:-1] + ("0" if url[-1] != "0" else "1")
    async with aiohttp.ClientSession() as http, http.get(changed, ssl=context) as response:
        assert response.status in {403, 404, 410}
