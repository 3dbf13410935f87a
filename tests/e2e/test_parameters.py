"""Parameters whose effect is heard or seen on the wire: recordings, answers and dials, and who has a call."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from rig import audio
from rig.dialog import sdp
from rig.fixtures import AudioServer, Callers, Talk, offer
from rig.node import NodeProcess
from rig.processes import clock_of
from rig.recording import fetch, record, stop
from rig.relay import RelayPeer
from rig.responder import Responder

# --- how a recording begins and ends ------------------------------------------------------------------------------


async def test_a_beep_is_heard_by_the_caller_and_not_recorded(node: NodeProcess, talk: Talk, tmp_path: Path) -> None:
    mark = talk.caller.rtp.mark()
    await record(talk, beep=True, direction="both")
    await talk.caller.rtp.hears(5, mark, louder_than=500)
    await asyncio.sleep(0.4)
    done = await stop(talk)
    [kept] = audio.read_wav(await fetch(node, done["url"], tmp_path / "r.wav"))
    assert len(kept) > 800
    assert abs(kept).max() < 100, "the beep is in the recording"


async def test_nobody_speaking_is_no_input_after_the_initial_timeout(talk: Talk) -> None:
    rtp, mark = talk.caller.rtp, talk.caller.rtp.mark()
    await record(talk, initial_timeout=0.8, end_silence_timeout=0.5)
    done = await talk.relay.event("record", lambda e: e.state in {"finished", "no_input"})
    assert done.state == "no_input"
    await rtp.hears(1, rtp.mark())  # it tells of what was left out right before
    assert 0.8 <= done.params["duration"] < 0.85 + rtp.left_out_s(mark), "by the engine's clock, which left that out"


async def test_silence_after_speech_ends_a_recording(talk: Talk, tmp_path: Path) -> None:
    said = audio.speech("Please call me back.", tmp_path / "said.wav")
    rtp, clock = talk.caller.rtp, clock_of(talk.relay.node)
    await record(talk, initial_timeout=30, end_silence_timeout=0.8)
    mark, rtp.behind_s = rtp.mark(), 0.0
    clock.start()
    began, _ = rtp.play(said)
    done = await talk.relay.finished("record", "r")
    due = began + max(at for at, rms in levels(said) if rms > 500) + 0.8
    await rtp.hears(1, rtp.mark())
    assert done.params["end_time"] - due > -0.35
    assert clock.took(due, done.params["end_time"]) < 0.35 + rtp.behind_s + rtp.left_out_s(mark)


def levels(samples: audio.Samples) -> list[tuple[float, float]]:
    """(time, RMS) of each 20 ms."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(float)
    return [(n * 0.02, float((frame**2).mean() ** 0.5)) for n, frame in enumerate(frames)]


async def test_the_longest_length_and_a_terminator_end_a_recording(talk: Talk) -> None:
    await record(talk, max_length=1.0)
    assert (await talk.relay.finished("record", "r")).params["duration"] == pytest.approx(1.0, abs=0.001)
    await record(talk, terminators="*")
    talk.caller.rtp.digit("5")
    await asyncio.sleep(0.4)
    talk.caller.rtp.digit("*")
    assert (await talk.relay.finished("record", "r")).params["duration"] > 0.4


async def test_a_direction_is_whose_voice_is_kept(
    node: NodeProcess, talk: Talk, audio_server: AudioServer, tmp_path: Path
) -> None:
    """pipecat-ai/pipecat#2676: the user's audio was missing."""
    url = audio_server.publish("tone.wav", audio.tone(900, 0.5))
    for direction in ("speak", "listen", "both"):
        await talk.relay.command(talk.call, "record", control_id=direction, record={"audio": {"direction": direction}})
        await talk.relay.event("record", lambda e, c=direction: e.params["control_id"] == c)
    await talk.relay.command(talk.call, "play", control_id="p", play=[{"type": "audio", "params": {"url": url}}])
    await talk.relay.finished("play", "p")
    talk.caller.rtp.play(audio.tone(600, 0.5))
    await asyncio.sleep(0.8)
    found = {}
    for direction in ("speak", "listen", "both"):
        await talk.relay.command(talk.call, "record.stop", control_id=direction)
        done = (await talk.relay.finished("record", direction)).params
        assert done["record"]["audio"] == {"format": "wav", "stereo": False, "direction": direction}
        [kept] = audio.read_wav(await fetch(node, done["url"], tmp_path / f"{direction}.wav"))
        found[direction] = (len(audio.bursts(kept, 600)), len(audio.bursts(kept, 900)))
    assert found == {"speak": (1, 0), "listen": (0, 1), "both": (1, 1)}


# --- what goes into SIP -------------------------------------------------------------------------------------------


async def test_an_answer_takes_the_codec_that_was_asked_for(callers: Callers, relay: RelayPeer) -> None:
    caller = await callers()
    call = await offer(caller, relay, sdp(caller.rtp.port, codecs="0 8"))
    await relay.command(call, "answer", codecs=["PCMA"])
    answer = await caller.accept()
    assert answer.sdp(r"^m=audio \d+ RTP/AVP (\d+)") == ["8"]
    await caller.rtp.hears(5)
    assert {p.payload_type for p in caller.rtp.packets} == {8}
    await caller.bye()
    await relay.state(call, "ended")


async def test_what_a_dial_asks_for_is_in_the_invite_and_its_digits_follow_the_answer(relay: RelayPeer) -> None:
    responder = await Responder.open()
    tag = f"dial-{uuid.uuid4()}"
    device = {
        "type": "sip",
        "params": {
            "to": responder.uri,
            "from": "sip:shop@localhost",
            "from_name": 'The "Shop"',
            "headers": [{"name": "X-Order", "value": "42"}],
            "codecs": ["PCMA"],
        },
    }
    asked = {"tag": tag, "devices": [[device]], "send_digits": "1W2#", "max_duration": 3}
    await relay.request("calling.dial", asked)
    invite = await responder.offered()
    assert invite.get("X-Order") == "42"
    assert invite.get("From").startswith('"The \\"Shop\\"" <sip:shop@localhost')
    assert invite.sdp(r"^m=audio \d+ RTP/AVP (.*?)\r?$") == ["8 101"]
    responder.answer(codecs="8")
    await responder.acknowledged()
    call = (await relay.event("dial", lambda e: e.params["tag"] == tag and e.state == "answered")).params["call"]
    await responder.ended()
    assert responder.rtp.digits() == "12#"
    ended = await relay.state(call, "ended")
    assert ended.params["end_reason"] == "maxDuration"
    responder.close()


# --- who has the call ---------------------------------------------------------------------------------------------


async def test_a_call_that_is_passed_goes_to_another_client_and_belongs_to_it(
    node: NodeProcess, callers: Callers
) -> None:
    async with RelayPeer(node) as first, RelayPeer(node) as second:
        caller = await callers()
        caller.invite()
        offered = await asyncio.wait(
            [asyncio.create_task(peer.event("receive")) for peer in (first, second)],
            return_when=asyncio.FIRST_COMPLETED,
        )
        call = next(iter(offered[0])).result()
        asked, other = (first, second) if first.of_call(call.call_id) else (second, first)
        assert other.of_call(call.call_id) == [], "one client is asked at a time"
        await asked.command(call, "pass")
        again = next(iter(offered[1]))
        assert (await again).call_id == call.call_id
        await other.command(call, "answer")
        await caller.accept()
        await other.state(call, "answered")
        refused = await asked.call("calling.end", {"node_id": call.params["node_id"], "call_id": call.call_id})
        assert refused.data["result"]["code"] in {"404", "409"}
        assert len(refused.data["result"]["message"].split()) >= 4
        await caller.bye()
        await other.state(call, "ended")
