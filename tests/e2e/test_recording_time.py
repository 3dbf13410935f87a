"""The time line of a recording against the RTP clock of what was sent and heard."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from rig import audio
from rig.fixtures import AudioServer, Talk
from rig.node import NodeProcess
from rig.recording import fetch, record, stop

WITHIN_S = 0.02


@pytest.mark.judges_time
async def test_bursts_lie_at_their_time_on_both_channels_and_the_length_is_the_events(
    node: NodeProcess, talk: Talk, audio_server: AudioServer, tmp_path: Path
) -> None:
    """pipecat#5071: a recording put together from frames of a program was 10 % longer than the call."""
    rtp = talk.caller.rtp
    played = np.concatenate([audio.tone(600, 0.2), audio.silence(1.3), audio.tone(600, 0.2), audio.silence(0.3)])
    url = audio_server.publish("bursts.wav", played)
    await record(talk, stereo=True, direction="both")
    mark = rtp.mark()
    await talk.relay.command(talk.call, "play", control_id="p", play=[{"type": "audio", "params": {"url": url}}])
    await asyncio.sleep(0.4)
    rtp.behind_s = 0.0
    said_at, _ = rtp.play(np.concatenate([audio.tone(1000, 0.2), audio.silence(0.8), audio.tone(1000, 0.2)]))
    await talk.relay.finished("play", "p")
    await rtp.has_said_all()
    await asyncio.sleep(0.5)
    done = await stop(talk)
    speak, listen = audio.read_wav(await fetch(node, done["url"], tmp_path / "r.wav"))
    assert done["duration"] == pytest.approx(len(speak) / 8000, abs=0.001)
    assert done["size"] == (tmp_path / "r.wav").stat().st_size

    zero = done["first_frame_time"]
    said = [(begin / 8000, end / 8000) for begin, end in audio.bursts(speak, 1000)]
    expected = [said_at - zero, said_at - zero + 1.0]
    print(f"said at {expected}, recorded at {[round(b, 4) for b, _ in said]}")
    late = rtp.behind_s + rtp.waits.between(said_at, said_at + 1.3)  # our own line, and the engine
    assert [b for b, _ in said] == pytest.approx(expected, abs=WITHIN_S + 0.003 + late)
    frame = 0.02 if late > 0.001 else 0.0  # the jitter buffer gives one more, or one less, to who comes late
    assert said[1][0] - said[0][0] == pytest.approx(1.0, abs=0.003 + frame + late)

    packets = rtp.heard(mark)
    # The most punctual of them tells when the first was due, however busy the machine was then.
    due = min(p.at - ((p.timestamp - packets[0].timestamp) & 0xFFFFFFFF) / 8000 for p in packets)
    heard = [due + begin / 8000 for begin, _ in audio.bursts(rtp.samples(mark), 600)]
    recorded = [begin / 8000 for begin, _ in audio.bursts(listen, 600)]
    print(f"heard at {[round(h - zero, 4) for h in heard]}, recorded at {[round(r, 4) for r in recorded]}")
    assert recorded == pytest.approx([h - zero for h in heard], abs=WITHIN_S + 0.003)
    assert recorded[1] - recorded[0] == pytest.approx(1.5, abs=0.003)
    assert not audio.bursts(listen, 1000)
    assert not audio.bursts(speak, 600)


async def test_what_was_said_is_recorded_at_the_ideal_quality(node: NodeProcess, talk: Talk, tmp_path: Path) -> None:
    said = audio.speech("Every word of this is to be found in the file, as it was said.", tmp_path / "said.wav")
    await record(talk)
    talk.caller.rtp.play(said)
    await talk.caller.rtp.has_said_all()
    await asyncio.sleep(0.5)
    done = await stop(talk)
    [speak] = audio.read_wav(await fetch(node, done["url"], tmp_path / "r.wav"))
    snr, _ = audio.aligned_snr_db(said, speak)
    best, _ = audio.aligned_snr_db(said, audio.ideal(said, talk.caller.rtp.payload_type))
    print(f"recorded: SNR {snr:.2f} dB, ideal {best:.2f} dB")
    assert snr > best - 0.5
