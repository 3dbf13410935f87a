"""A bad line: jitter and loss, seeded, and what is made of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from rig import audio, plc
from rig.fixtures import Callers, Talk, answered
from rig.node import NodeProcess
from rig.recording import fetch, record, stop
from rig.relay import RelayPeer

ATTEMPTS = 3
LINE_MAX_BEHIND_S = 0.01
"""More than this, and the lines were worse than the test says: the machine could not send in time."""
SEEDS = (20, 21, 22, 23)
TEXT = "When the line is bad, every packet counts, and those that are lost must not be heard. " * 3


class BadLine:
    """40 +- 20 ms of delay and 3 % of loss: the same packets of what is said are lost in every run."""

    def __init__(self, talk: Talk, said: audio.Samples, seed: int) -> None:
        dice = np.random.default_rng(seed)
        self.talk, self.said, self.rtp = talk, said, talk.caller.rtp
        self.frames = len(said) // 160
        self.lost = dice.random(self.frames) < 0.03
        self.delays_s = dice.uniform(0.02, 0.06, self.frames)
        self.first = 0
        self.rtp.impair = self.impair

    def impair(self, number: int) -> float | None:
        index = ((number - self.first) & 0xFFFF) % self.frames
        return None if self.lost[index] else float(self.delays_s[index])

    def speak(self) -> None:
        _, timestamp = self.rtp.play(self.said)
        self.first = (self.rtp.first_sequence + (timestamp - self.rtp.first_timestamp) // 160) & 0xFFFF

    async def judge(self, node: NodeProcess, work: Path) -> tuple[float, float, float]:
        """Share of late packets; the error of our concealment and of spandsp's, in dB."""
        done = await stop(self.talk)
        [speak] = audio.read_wav(await fetch(node, done["url"], work / "r.wav"))
        ideal = audio.ideal(self.said[: self.frames * 160], self.rtp.payload_type)
        gone = [int(number) for number in np.flatnonzero(self.lost)]
        late, ours = plc.judge(ideal, speak, gone)
        return late, ours, plc.spandsp_error_db(ideal, gone)


@pytest.mark.judges_time
async def test_jitter_and_loss_cost_no_more_than_they_must(
    node: NodeProcess, relay: RelayPeer, callers: Callers, tmp_path: Path
) -> None:
    """What came is heard, what was lost is concealed no worse than by spandsp, over four lines."""
    said = audio.speech(TEXT, tmp_path / "said.wav")
    for _ in range(ATTEMPTS):
        lines = [BadLine(await answered(await callers(), relay), said, seed) for seed in SEEDS]
        await asyncio.sleep(1.5)
        for line in lines:
            await record(line.talk)
        for line in lines:
            line.speak()
        for line in lines:
            line.rtp.behind_s = 0.0
        await asyncio.sleep(len(said) / 8000 + 1.0)
        behind_s = max(line.rtp.behind_s for line in lines)
        late, ours, spandsps = np.mean([await line.judge(node, tmp_path) for line in lines], axis=0)
        lost, frames = sum(line.lost.sum() for line in lines), sum(line.frames for line in lines)
        print(
            f"jitter 40+-20 ms, {lost} of {frames} packets lost: late {late * 100:.2f} %, "
            f"concealment error ours {ours:.2f} dB, spandsp's {spandsps:.2f} dB; "
            f"the lines themselves were up to {behind_s * 1000:.1f} ms behind"
        )
        for line in lines:
            await line.talk.caller.bye()
            await relay.state(line.talk.call, "ended")
        if (late <= 0.005 and ours <= spandsps) or behind_s <= LINE_MAX_BEHIND_S:
            break
    assert late <= 0.005
    assert ours <= spandsps
