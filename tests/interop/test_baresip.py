"""A softphone that nobody here wrote calls in: it is heard, it hears, its keys arrive."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest

from rig import audio
from rig.fixtures import AudioServer
from rig.node import NodeProcess
from rig.programs import baresip
from rig.relay import RelayPeer

pytestmark = pytest.mark.peers


async def test_baresip_is_heard_hears_and_its_keys_arrive(
    node: NodeProcess, relay: RelayPeer, audio_server: AudioServer, tmp_path: Path
) -> None:
    said = audio.write_wav(tmp_path / "said.wav", audio.tone(800, 10))
    async with baresip(tmp_path / "phone", said) as phone:
        host, port = node.sip()
        await phone.command("dial", f"sip:100@{host}:{port}")
        call = await relay.event("receive")
        await relay.command(call, "answer")
        await relay.state(call, "answered")
        await relay.command(call, "record", control_id="r", record={"audio": {"format": "wav"}})
        await relay.event("record", lambda e: e.state == "recording")
        await asyncio.sleep(0.3)
        url = audio_server.publish("tone.wav", audio.tone(500, 1.5))
        await relay.command(call, "play", control_id="p", play=[{"type": "audio", "params": {"url": url}}])
        digits = {"max": 4, "digit_timeout": 30}
        await relay.command(call, "collect", control_id="c", digits=digits, initial_timeout=30)
        for key in "159#":
            phone.press(key)
            await asyncio.sleep(0.4)
        collected = await relay.event("collect", lambda e: e.params["control_id"] == "c")
        assert collected.params["result"]["params"]["digits"] == "159#"
        await relay.finished("play", "p")
        await relay.command(call, "record.stop", control_id="r")
        done = (await relay.finished("record", "r")).params
        await relay.command(call, "end")
        await relay.state(call, "ended")
        await asyncio.sleep(0.5)
        [heard] = phone.heard()
        [(begin, end)] = audio.bursts(audio.read_wav(heard)[0], 500)
        assert end - begin == pytest.approx(12000, abs=400)
    context = ssl.create_default_context(cafile=str(node.ca_file))
    async with aiohttp.ClientSession() as http, http.get(done["url"], ssl=context) as response:
        (tmp_path / "r.wav").write_bytes(await response.read())
    [speak] = audio.read_wav(tmp_path / "r.wav")
    assert audio.steady_share(speak[4000:8000], 800) > 0.9
