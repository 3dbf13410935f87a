"""The programs of others against a scripted callee of our own, before they judge a node."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rig import audio
from rig.dialog import Caller
from rig.ports import free_port, until_bound
from rig.programs import baresip, kamailio
from rig.responder import Responder
from rig.sipp import run_sipp

pytestmark = pytest.mark.peers


async def test_kamailio_stays_in_the_path_of_a_call(tmp_path: Path) -> None:
    responder = await Responder.open()
    caller = await Caller.open(("127.0.0.1", 9))
    async with kamailio(tmp_path, responder.sip.port, caller.sip.port) as port:
        caller.remote = ("127.0.0.1", port)
        caller.invite()
        await responder.offered()
        responder.answer()
        answer = await caller.accept()
        assert f":{port}" in answer.get("Record-Route")
        ack = await responder.acknowledged()
        assert ack.source[1] == port
        answered, bye = await asyncio.gather(caller.bye(), responder.ended())
        assert answered.status == 200
        assert bye.source[1] == port
    caller.close()
    responder.close()


async def test_baresip_says_hears_and_presses(tmp_path: Path) -> None:
    said = audio.write_wav(tmp_path / "said.wav", audio.tone(800, 8))
    responder = await Responder.open()
    async with baresip(tmp_path / "phone", said) as phone:
        await phone.command("dial", f"sip:100@127.0.0.1:{responder.sip.port}")
        await responder.offered()
        responder.answer()
        await responder.acknowledged()
        await asyncio.sleep(0.5)
        responder.rtp.play(audio.tone(500, 1.0))
        for key in "15#":
            phone.press(key)
            await asyncio.sleep(0.4)
        await asyncio.sleep(0.5)
        assert responder.rtp.digits() == "15#"
        assert audio.bursts(responder.rtp.samples(), 800)
        await responder.bye()
        await asyncio.sleep(0.5)
        [heard] = phone.heard()
        assert audio.bursts(audio.read_wav(heard)[0], 500)
    responder.close()


async def test_sipp_calls_the_scripted_callee_and_is_hung_up(tmp_path: Path) -> None:
    (tmp_path / "said.al").write_bytes(audio.encode(audio.tone(440, 5), 8))
    responder = await Responder.open()
    running = asyncio.create_task(run_sipp("ivr_caller", ("127.0.0.1", responder.sip.port), tmp_path))
    await responder.offered()
    responder.answer(codecs="8")
    await responder.acknowledged()
    info = await responder.sip.request("INFO", 10)
    assert "Signal=1" in info.body
    responder.sip.respond(info, 200, "OK")
    await responder.bye()
    result = await running
    assert (result.successful, result.failed, result.exit_code) == (1, 0, 0), result.output
    assert audio.bursts(responder.rtp.samples(), 440)
    responder.close()


async def test_sipp_answers_as_a_callee(tmp_path: Path) -> None:
    port = free_port()
    running = asyncio.create_task(run_sipp("callee", None, tmp_path, p=port))
    await until_bound(port)
    caller = await Caller.open(("127.0.0.1", port))
    await caller.established()
    assert (await caller.bye()).status == 200
    result = await running
    assert (result.successful, result.failed) == (1, 0), result.output
    caller.close()
