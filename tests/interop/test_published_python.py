"""The published Python SDK, unmodified, over TLS with our certificate."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest

from rig import audio
from rig.apps import published_python
from rig.dialog import Caller
from rig.fixtures import Callers
from rig.node import NodeProcess
from rig.relay import RelayPeer
from rig.responder import Responder
from rig.sipp import run_sipp

pytestmark = pytest.mark.peers


async def subscribed(node: NodeProcess) -> None:
    """Long enough for a client that has just started to be known (it says nothing of it).

    Once somebody has subscribed, calls wait another 10 s for the next who does.
    """
    async with RelayPeer(node):
        await asyncio.sleep(2.0)


async def test_it_answers_sipp_plays_collects_records_and_hangs_up(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "said.al").write_bytes(audio.encode(audio.tone(440, 5), 8))
    async with published_python(node, "ivr") as app:
        await app.line("starting")
        await subscribed(node)
        result = await run_sipp("ivr_caller", node.sip(), tmp_path, timeout=40)
        assert (result.successful, result.failed, result.exit_code) == (1, 0, 0), result.output
        assert (await app.line("played")).data["state"] == "finished"
        collected = (await app.line("collected")).data["result"]
        assert collected == {"type": "digit", "params": {"digits": "1", "terminator": ""}}
        recorded = (await app.line("recorded")).data
        await app.line("ended")
        assert len(app.all("call")) == 1
        assert not [line for line in app.noise if "Traceback" in line]
    context = ssl.create_default_context(cafile=str(node.ca_file))
    async with aiohttp.ClientSession() as http, http.get(recorded["url"], ssl=context) as response:
        (tmp_path / "r.wav").write_bytes(await response.read())
    [speak] = audio.read_wav(tmp_path / "r.wav")
    assert recorded["duration"] == pytest.approx(len(speak) / 8000, abs=0.001)
    assert audio.steady_share(speak[2000:10000], 440) > 0.9, "the recording is what sipp said"


async def test_it_is_heard_and_its_prompt_ends_with_the_key(node: NodeProcess, callers: Callers) -> None:
    async with published_python(node, "ivr") as app:
        await app.line("starting")
        await subscribed(node)
        caller = await callers()
        await caller.established()
        await app.line("played")
        await caller.rtp.hears(1, louder_than=500)
        caller.rtp.digit("2", marker=False)
        collected = (await app.line("collected")).data["result"]
        assert collected["params"]["digits"] == "2"
        await caller.ended_by_node()
        await app.line("ended")
        assert caller.rtp.broken() == []


async def test_it_dials_out_and_its_digits_arrive(node: NodeProcess) -> None:
    responder = await Responder.open()
    async with published_python(node, "dialler", responder.uri) as app:
        await responder.offered(60)
        responder.ring()
        responder.answer()
        await responder.acknowledged()
        answered = (await app.line("answered")).data
        assert (answered["state"], answered["direction"]) == ("answered", "outbound")
        await responder.ended()
        await app.line("ended")
    assert responder.rtp.digits() == "12#"
    assert [rms for _, rms in responder.rtp.loudness() if rms > 500]
    responder.close()


async def test_a_refused_dial_raises_in_its_program(node: NodeProcess) -> None:
    responder = await Responder.open()
    async with published_python(node, "dialler", responder.uri) as app:
        await responder.offered(60)
        responder.respond(486, "Busy Here")
        await responder.acknowledged()
        assert "Dial failed" in (await app.line("failed")).data["error"]
    responder.close()


async def test_a_caller_who_leaves_in_the_prompt_ends_the_call_in_its_program(
    node: NodeProcess, callers: Callers
) -> None:
    async with published_python(node, "ivr") as app:
        await app.line("starting")
        await subscribed(node)
        caller: Caller = await callers()
        await caller.established()
        await app.line("played")
        await asyncio.sleep(0.5)
        await caller.bye()
        collected = (await app.line("collected")).data["result"]
        assert collected["type"] == "finished", "the Python client settles on the first of the two"
