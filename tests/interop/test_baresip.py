"""A softphone that nobody here wrote calls in: it is heard, it hears, its keys arrive."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from rig import audio, g722
from rig.fixtures import AudioServer
from rig.node import NodeProcess
from rig.programs import Baresip, baresip
from rig.relay import Event, RelayPeer

pytestmark = pytest.mark.peers


async def fetch(node: NodeProcess, url: str, into: Path) -> None:
    context = ssl.create_default_context(cafile=str(node.ca_file))
    async with aiohttp.ClientSession() as http, http.get(url, ssl=context) as response:
        into.write_bytes(await response.read())


async def collected(relay: RelayPeer, call: Event, phone: Baresip, keys: str) -> str:
    """What a collect has of keys that are pressed one after another."""
    digits = {"max": len(keys), "digit_timeout": 30}
    await relay.command(call, "collect", control_id="c", digits=digits, initial_timeout=30)
    for key in keys:
        phone.press(key)
        await asyncio.sleep(0.4)
    done = await relay.event("collect", lambda e: e.params["control_id"] == "c")
    return str(done.params["result"]["params"]["digits"])


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
        assert await collected(relay, call, phone, "159#") == "159#"
        await relay.finished("play", "p")
        await relay.command(call, "record.stop", control_id="r")
        done = (await relay.finished("record", "r")).params
        await relay.command(call, "end")
        await relay.state(call, "ended")
        await asyncio.sleep(0.5)
        [heard] = phone.heard()
        [(begin, end)] = audio.bursts(audio.read_wav(heard)[0], 500)
        assert end - begin == pytest.approx(12000, abs=400)
    await fetch(node, done["url"], tmp_path / "r.wav")
    [speak] = audio.read_wav(tmp_path / "r.wav")
    assert audio.steady_share(speak[4000:8000], 800) > 0.9


def loud(samples: audio.Samples, rate_hz: int) -> audio.Samples:
    """From the first loud sample on."""
    begin = int(np.argmax(np.abs(samples.astype(int)) > 2000))
    return samples[begin + rate_hz // 10 : begin + rate_hz]


async def test_with_g722_prompts_and_recordings_are_of_16_khz_both_ways(
    node: NodeProcess, relay: RelayPeer, audio_server: AudioServer, tmp_path: Path
) -> None:
    rate = g722.WIDEBAND_HZ
    said = audio.write_wav(tmp_path / "said.wav", audio.tone(6300, 10, rate_hz=rate), rate)
    async with baresip(tmp_path / "phone", said, "G722/16000/1", rate) as phone:
        host, port = node.sip()
        await phone.command("dial", f"sip:100@{host}:{port}")
        call = await relay.event("receive")
        await relay.command(call, "answer")
        await relay.state(call, "answered")
        await relay.command(call, "record", control_id="r", record={"audio": {"format": "wav"}})
        await relay.event("record", lambda e: e.state == "recording")
        url = audio_server.publish("tone.wav", audio.tone(5200, 1.5, rate_hz=rate), rate)
        await relay.command(call, "play", control_id="p", play=[{"type": "audio", "params": {"url": url}}])
        assert await collected(relay, call, phone, "7#") == "7#"
        await relay.finished("play", "p")
        await relay.command(call, "record.stop", control_id="r")
        done = (await relay.finished("record", "r")).params
        await relay.command(call, "end")
        await relay.state(call, "ended")
        await asyncio.sleep(0.5)
        [heard] = phone.heard()
        share = audio.steady_share(loud(audio.read_wav(heard, rate)[0], rate), 5200, rate)
        print(f"5200 Hz is {share:.3f} of what the phone heard")
        assert share > 0.9
    await fetch(node, done["url"], tmp_path / "r.wav")
    [speak] = audio.read_wav(tmp_path / "r.wav", rate)
    share = audio.steady_share(loud(speak, rate), 6300, rate)
    print(f"6300 Hz is {share:.3f} of what was recorded")
    assert share > 0.9


async def test_a_dial_offers_g722_and_speaks_it_with_a_phone_that_wants_it(
    node: NodeProcess, relay: RelayPeer, tmp_path: Path
) -> None:
    rate = g722.WIDEBAND_HZ
    said = audio.write_wav(tmp_path / "said.wav", audio.tone(6300, 10, rate_hz=rate), rate)
    async with baresip(tmp_path / "phone", said, "G722/16000/1", rate) as phone:
        device = {"type": "sip", "params": {"from": "sip:us@127.0.0.1", "to": phone.uri}}
        await relay.request("calling.dial", {"tag": "wide", "devices": [[device]]})
        await asyncio.wait_for(phone.accept(), 30)
        dialled = await relay.event("dial", lambda e: e.params["tag"] == "wide" and e.state == "answered")
        call = dialled.params["call"]
        await relay.command(call, "record", control_id="r", record={"audio": {"format": "wav"}})
        await relay.event("record", lambda e: e.state == "recording")
        tone = {"type": "ringtone", "params": {"name": "us", "duration": 2}}
        await relay.command(call, "play", control_id="p", play=[tone])
        await relay.finished("play", "p")
        await relay.command(call, "record.stop", control_id="r")
        done = (await relay.finished("record", "r")).params
        await relay.command(call, "end")
    await fetch(node, done["url"], tmp_path / "r.wav")
    [speak] = audio.read_wav(tmp_path / "r.wav", rate)
    assert audio.steady_share(loud(speak, rate), 6300, rate) > 0.9
