"""A node that is late for seconds: new calls are told to come later, and those that are there hear nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rig import audio
from rig.dialog import Caller
from rig.fixtures import AudioServer, answered
from rig.node import ROUTES, NodeProcess, serving
from rig.processes import node_of
from rig.relay import RelayPeer
from rig.sip import assert_helpful, sentence

PATIENCE_S = 60.0
"""How long anything may take before a test gives it up; nothing is judged by it."""
STOPPED_S, RUNS_S = 0.5, 0.05


async def _stutter(pid: int) -> None:
    while True:
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(STOPPED_S)
        os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(RUNS_S)


@asynccontextmanager
async def late(node: NodeProcess) -> AsyncIterator[None]:
    """Whatever the node does, it does half a second late."""
    pid = node_of(node).pid
    stutter = asyncio.create_task(_stutter(pid))
    try:
        yield
    finally:
        stutter.cancel()
        await asyncio.gather(stutter, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def logged(node: NodeProcess, what: str) -> None:
    began = time.monotonic()
    while what not in node.log():
        assert time.monotonic() - began < PATIENCE_S, f"{what!r} is not in the log after {PATIENCE_S} s"
        await asyncio.sleep(0.1)


async def test_a_node_that_is_late_refuses_new_calls_and_dials_and_its_call_goes_on(
    tmp_path: Path, audio_server: AudioServer
) -> None:
    url = audio_server.publish("tone.wav", audio.tone(440, 2.0))
    with serving(tmp_path, ROUTES) as node:
        async with RelayPeer(node) as relay:
            talk = await answered(await Caller.open(node.sip()), relay)
            play = [{"type": "audio", "params": {"url": url}}]
            await relay.command(talk.call, "play", control_id="tone", play=play, loop=0)
            await relay.event("play", lambda e: e.state == "playing")
            mark = talk.caller.rtp.mark()
            async with late(node):
                await logged(node, "overload: new calls are refused")
                caller = await Caller.open(node.sip())
                caller.invite()
                refused = await caller.final(PATIENCE_S)
                caller.ack_failure(refused)
                caller.close()
                device = {"type": "sip", "params": {"to": "sip:nobody@127.0.0.1:9"}}
                dialled = await relay.call("calling.dial", {"tag": "t", "devices": [[device]]}, within_s=PATIENCE_S)
            assert_helpful(refused, 503)
            assert "overloaded" in sentence(refused)
            assert refused.get("Retry-After")
            result = dialled.data["result"]
            assert (result["code"], "overloaded" in result["message"]) == ("503", True)
            await logged(node, "overload is over: new calls are taken again")
            assert talk.caller.rtp.broken(mark) == []
            await relay.command(talk.call, "end")
            await talk.caller.ended_by_node()
            talk.caller.close()
            again = await answered(await Caller.open(node.sip()), relay)
            await again.caller.bye()
            again.caller.close()
