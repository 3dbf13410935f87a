"""A bad line: jitter and loss, seeded, and what is made of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from rig import audio, plc
from rig.fixtures import Talk
from rig.node import NodeProcess
from rig.recording import fetch, record, stop


async def test_jitter_and_loss_cost_no_more_than_they_must(node: NodeProcess, talk: Talk, tmp_path: Path) -> None:
    """40 +- 20 ms of delay and 3 % of loss: what came is heard, what was lost is concealed no worse than by spandsp."""
    dice = np.random.default_rng(20)
    rtp = talk.caller.rtp
    lost: set[int] = set()

    def impair(number: int) -> float | None:
        if dice.random() < 0.03:
            lost.add(number)
            return None
        return float(dice.uniform(0.02, 0.06))

    text = "When the line is bad, every packet counts, and those that are lost must not be heard. " * 3
    said = audio.speech(text, tmp_path / "said.wav")
    rtp.impair = impair
    await asyncio.sleep(1.5)
    await record(talk)
    _, timestamp = rtp.play(said)
    await asyncio.sleep(len(said) / 8000 + 1.0)
    done = await stop(talk)
    rtp.impair = lambda _n: 0.0
    [speak] = audio.read_wav(await fetch(node, done["url"], tmp_path / "r.wav"))
    first = (rtp.first_sequence + (timestamp - rtp.first_timestamp) // 160) & 0xFFFF
    frames = len(said) // 160
    gone = [n for n in range(frames) if (first + n) & 0xFFFF in lost]
    ideal = audio.ideal(said[: frames * 160], rtp.payload_type)
    late, ours = plc.judge(ideal, speak, gone)
    theirs = plc.spandsp_error_db(ideal, gone)
    print(
        f"jitter 40+-20 ms, {len(gone)} of {frames} packets lost: late {late * 100:.2f} %, "
        f"concealment error ours {ours:.2f} dB, spandsp's {theirs:.2f} dB"
    )
    assert late <= 0.005
    assert ours <= theirs
