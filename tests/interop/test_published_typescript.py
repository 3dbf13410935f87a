"""The published TypeScript client, unmodified, over TLS with our certificate."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rig import audio
from rig.apps import published_typescript
from rig.fixtures import Callers
from rig.node import NodeProcess
from rig.responder import Responder
from rig.sipp import run_sipp

pytestmark = pytest.mark.peers


async def test_it_answers_sipp_plays_collects_records_and_hangs_up(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "said.al").write_bytes(audio.encode(audio.tone(440, 5), 8))
    async with published_typescript(node, "ivr") as app:
        await app.line("listening")
        result = await run_sipp("ivr_caller", node.sip(), tmp_path, timeout=40)
        assert (result.successful, result.failed, result.exit_code) == (1, 0, 0), result.output
        collected = (await app.line("collected")).data
        assert (collected["type"], collected["digits"]) == ("digit", "1")
        recorded = (await app.line("recorded")).data
        assert recorded["url"].startswith("https://")
        assert recorded["duration"] == pytest.approx(2.0, abs=0.5)
        await app.line("ended")
        assert app.all("error") == []


async def test_it_takes_a_second_call_after_the_first(node: NodeProcess, callers: Callers) -> None:
    async with published_typescript(node, "ivr") as app:
        await app.line("listening")
        for key in "12":
            caller = await callers()
            await caller.established()
            await app.line("played")
            await asyncio.sleep(0.5)
            caller.rtp.digit(key)
            assert (await app.line("collected")).data["digits"] == key
            await caller.ended_by_node(10)
            await app.line("ended")


async def test_a_prompt_whose_caller_leaves_settles(node: NodeProcess, callers: Callers) -> None:
    """It settles on ``no_input`` only, after ``finished``; else its program hangs for ever."""
    async with published_typescript(node, "ivr") as app:
        await app.line("listening")
        caller = await callers()
        await caller.established()
        await app.line("played")
        await asyncio.sleep(0.5)
        await caller.bye()
        assert (await app.line("collected")).data["type"] == "no_input"


async def test_it_dials_out_plays_and_its_digits_arrive(node: NodeProcess) -> None:
    responder = await Responder.open()
    async with published_typescript(node, "dialler", responder.uri) as app:
        await responder.offered(15)
        responder.ring()
        responder.answer()
        await responder.acknowledged()
        answered = (await app.line("answered")).data
        assert (answered["state"], answered["direction"]) == ("answered", "outbound")
        await app.line("played")
        await app.line("sent")
        await responder.ended(10)
        await app.line("ended")
    assert responder.rtp.digits() == "12#"
    assert [rms for _, rms in responder.rtp.loudness() if rms > 500]
    responder.close()


async def test_a_refused_dial_rejects_with_its_reason(node: NodeProcess) -> None:
    responder = await Responder.open()
    async with published_typescript(node, "dialler", responder.uri) as app:
        await responder.offered(15)
        responder.respond(486, "Busy Here")
        await responder.acknowledged()
        assert "Busy" in (await app.line("failed")).data["error"]
    responder.close()
