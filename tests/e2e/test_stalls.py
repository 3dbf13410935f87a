"""A process that stands still for a while: nothing is queued, nothing stays late, nobody is lost."""

from __future__ import annotations

import asyncio
import os
import signal
from itertools import pairwise
from pathlib import Path

import pytest

from rig import audio
from rig.dialog import Caller
from rig.fixtures import Talk, answered
from rig.node import running_node
from rig.relay import RelayPeer
from rig.rtp import FRAME_S

STALL_S = 1.5
AHEAD_FRAMES = 5
"""By how much a stream may ever be ahead of its clock after a stall; what was missed is 75 frames."""


async def echo_delay_ms(talk: Talk) -> float:
    """From the first sample of a burst to its first packet back."""
    mark = talk.caller.rtp.mark()
    said_at, _ = talk.caller.rtp.play(audio.tone(1000, 0.1))
    await asyncio.sleep(0.5)
    return (next(at for at, rms in talk.caller.rtp.loudness(mark) if rms > 1500) - said_at) * 1000


@pytest.mark.judges_time
async def test_an_engine_that_stood_still_sends_no_burst_and_is_not_late_afterwards(tmp_path: Path) -> None:
    """asterisk/asterisk#2115: one late tick cost delay for the rest of the call."""
    with running_node(tmp_path / "s") as node:
        async with RelayPeer(node) as relay:
            talk = await answered(await Caller.open(node.sip()), relay)
            await relay.command(talk.call, "echo", timeout=60)
            await relay.event("echo")
            await asyncio.sleep(0.3)
            before = min([await echo_delay_ms(talk) for _ in range(3)])
            mark, engine = talk.caller.rtp.mark(), node.engine().pid
            await asyncio.sleep(0.2)  # so that there is a packet before the stop
            os.kill(engine, signal.SIGSTOP)
            await asyncio.sleep(STALL_S)
            os.kill(engine, signal.SIGCONT)
            await asyncio.sleep(1.0)
            after = [await echo_delay_ms(talk) for _ in range(3)]
            while min(after) >= before + 25 and len(after) < 20:  # a jitter buffer that a busy machine filled shrinks
                after.append(await echo_delay_ms(talk))
            heard = talk.caller.rtp.heard(mark)
            print(f"stalled for {STALL_S} s: echo after {before:.1f} ms before, {min(after):.1f} ms afterwards")
            stopped_s, again = max((b.at - a.at, b.at) for a, b in pairwise(heard))
            assert stopped_s > STALL_S * 0.8
            since = [packet.at - again for packet in heard if packet.at >= again]
            ahead = max(number - at / FRAME_S for number, at in enumerate(since))
            assert ahead <= AHEAD_FRAMES, "what was missed was sent in a burst, at once or later"
            assert since[-1] > 2.0, "judged until it was steady for long"
            assert len({p.ssrc for p in heard}) == 1
            assert min(after) < before + 25, f"late for good: {after}"
            await talk.caller.bye()
            await relay.state(talk.call, "ended")
            talk.caller.close()


@pytest.mark.judges_time
async def test_a_node_that_stands_still_stops_no_audio_and_loses_no_digit(tmp_path: Path) -> None:
    """pipecat-ai/pipecat#3378: media that shares a loop with the program stops with it."""
    with running_node(tmp_path / "s") as node:
        async with RelayPeer(node) as relay:
            talk = await answered(await Caller.open(node.sip()), relay)
            await relay.command(talk.call, "collect", control_id="c", digits={"max": 3, "digit_timeout": 10})
            nodes = [s.pid for s in node.processes() if "offhook.node.app" in s.cmdline]
            mark = talk.caller.rtp.mark()
            for pid in nodes:
                os.kill(pid, signal.SIGSTOP)
            for key in "123":
                talk.caller.rtp.digit(key)
            await asyncio.sleep(STALL_S)
            for pid in nodes:
                os.kill(pid, signal.SIGCONT)
            done = await relay.event("collect")
            assert done.params["result"]["params"]["digits"] == "123"
            assert talk.caller.rtp.broken(mark) == []
            assert talk.caller.rtp.largest_stop_ms(mark) < 100
            await talk.caller.bye()
            await relay.state(talk.call, "ended")
            talk.caller.close()
