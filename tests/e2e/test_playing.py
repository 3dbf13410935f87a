"""What ``play`` promises beyond a file: how often, to whom, which ringtone; and when a prompt begins to wait."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from rig import audio
from rig.fixtures import AudioServer, Talk
from rig.node import NodeProcess
from rig.processes import clock_of
from rig.recording import fetch, record, stop

PAUSE = {"type": "silence", "params": {"duration": 0.2}}


def item(url: str) -> dict[str, object]:
    return {"type": "audio", "params": {"url": url}}


async def test_a_list_is_played_as_often_as_asked_and_no_more(talk: Talk, audio_server: AudioServer) -> None:
    url = audio_server.publish("short.wav", audio.tone(900, 0.2))
    mark = talk.caller.rtp.mark()
    await talk.relay.command(talk.call, "play", control_id="thrice", play=[item(url), PAUSE], loop=3)
    await talk.relay.finished("play", "thrice")
    await asyncio.sleep(0.5)
    found = audio.bursts(talk.caller.rtp.joined(mark), 900)  # what a busy machine left out is no part of any
    assert len(found) == 3
    assert np.diff([begin for begin, _ in found]) == pytest.approx([3200, 3200], abs=8)
    assert talk.caller.rtp.broken(mark) == []


@pytest.mark.parametrize(
    ("direction", "caller_hears", "said_has"), [("listen", True, False), ("speak", False, True), ("both", True, True)]
)
async def test_a_direction_is_who_hears_it(
    node: NodeProcess,
    talk: Talk,
    audio_server: AudioServer,
    tmp_path: Path,
    direction: str,
    caller_hears: bool,
    said_has: bool,
) -> None:
    """``listen``: the caller hears it. ``speak``: it is mixed into what the caller says, as recordings have it."""
    url = audio_server.publish("tone.wav", audio.tone(900, 0.5))
    await record(talk, direction="speak")
    mark = talk.caller.rtp.mark()
    await talk.relay.command(talk.call, "play", control_id="to", play=[item(url)], direction=direction)
    await talk.relay.finished("play", "to")
    await asyncio.sleep(0.3)
    heard = audio.bursts(talk.caller.rtp.joined(mark), 900)
    done = await stop(talk)
    [said] = audio.read_wav(await fetch(node, done["url"], tmp_path / "said.wav"))
    assert bool(heard) == caller_hears
    found = audio.bursts(said, 900)
    assert bool(found) == said_has
    for bursts in filter(None, (heard, found)):  # in a recording it has holes where a busy machine left out something
        assert sum(end - begin for begin, end in bursts) == pytest.approx(4000, abs=160)


async def test_the_american_ringtone_is_440_and_480_hz_two_seconds_on_and_four_off(talk: Talk) -> None:
    ring = [{"type": "ringtone", "params": {"name": "us", "duration": 7}}]
    mark = talk.caller.rtp.mark()
    await talk.relay.command(talk.call, "play", control_id="ring", play=ring)
    await talk.relay.finished("play", "ring")
    heard = talk.caller.rtp.joined(mark)
    loud = [rms > 300 for _, rms in talk.caller.rtp.loudness(mark)]
    edges = np.flatnonzero(np.diff(np.array([False, *loud, False]).astype(int)))
    first, second = zip(edges[::2], edges[1::2], strict=True)
    assert first[1] - first[0] == pytest.approx(100, abs=2)
    assert second[0] - first[0] == pytest.approx(300, abs=2)
    part = heard[(first[0] + 10) * 160 : (first[1] - 10) * 160]
    assert audio.tone_share(part, 440) + audio.tone_share(part, 480) > 0.95
    assert audio.tone_share(part, 440) == pytest.approx(audio.tone_share(part, 480), abs=0.1)


@pytest.mark.judges_time
async def test_the_initial_timeout_runs_from_the_end_of_the_prompt(talk: Talk, audio_server: AudioServer) -> None:
    url = audio_server.publish("prompt.wav", audio.tone(700, 1.5))
    mark, clock = talk.caller.rtp.mark(), clock_of(talk.relay.node)
    clock.start()
    collect = {"initial_timeout": 1.0, "digits": {"max": 1}}
    await talk.relay.command(talk.call, "play_and_collect", control_id="menu", play=[item(url)], collect=collect)
    done = await talk.relay.event("collect", lambda e: e.params["control_id"] == "menu")
    assert done.params["result"] == {"type": "no_input"}
    last_audible = max(at for at, rms in talk.caller.rtp.loudness(mark) if rms > 500)
    assert done.at - last_audible > 0.75
    assert clock.took(last_audible, done.at) < 1.25


async def until_heard(talk: Talk, control_id: str, say: list[dict[str, object]]) -> float:
    """From the command to its first sound, in seconds."""
    mark, began = talk.caller.rtp.mark(), time.time()
    await talk.relay.command(talk.call, "play", control_id=control_id, play=say)
    await talk.relay.event("play", lambda e: e.params["control_id"] == control_id and e.state == "playing")
    if control_id == "short":
        await talk.relay.finished("play", control_id)
    await talk.caller.rtp.hears(1, mark, louder_than=500)
    return next(at for at, rms in talk.caller.rtp.loudness(mark) if rms > 500) - began


@pytest.mark.judges_time
async def test_ten_thousand_characters_are_heard_at_once_and_one_more_is_refused(talk: Talk) -> None:
    text = ("This is a sentence of a very long text. " * 250)[:10_000]
    say = [{"type": "tts", "params": {"text": text}}]
    short = await until_heard(talk, "short", [{"type": "tts", "params": {"text": "This is short."}}])
    took = await until_heard(talk, "long", say)
    print(f"heard after {took:.2f} s; a short text after {short:.2f} s")
    # Two seconds, and where the machine is so busy that a short text takes long, as many as that says.
    assert took < max(2.0, 4 * short)
    await talk.relay.command(talk.call, "play.stop", control_id="long")
    await talk.relay.finished("play", "long")
    longer = [{"type": "tts", "params": {"text": text + "x"}}]
    refused = await talk.relay.command(talk.call, "play", "400", control_id="longer", play=longer)
    assert "`play[].params.text`" in refused["message"]


@pytest.mark.judges_time
async def test_sixteen_plays_at_once_sound_together_and_the_next_is_told_why_not(talk: Talk) -> None:
    """asterisk/asterisk#2115: what is too much is refused by name; it never becomes a backlog."""
    ring = [{"type": "ringtone", "params": {"name": "us", "duration": 120}}]  # none ends before all are asked for
    mark = talk.caller.rtp.mark()
    for number in range(20):
        await talk.relay.command(talk.call, "play", control_id=f"p{number}", play=ring)
    told = [
        await talk.relay.event(
            "play", lambda e, c=f"p{number}": e.params["control_id"] == c and e.state in {"playing", "error"}
        )
        for number in range(20)
    ]
    failed = [e for e in told if e.state == "error"]
    assert len(failed) == 4
    assert all("stop one first" in e.params["message"] for e in failed)
    await talk.caller.rtp.hears(50, mark, louder_than=500)
    for sounding in (e.params["control_id"] for e in told if e.state == "playing"):
        await talk.relay.command(talk.call, "play.stop", control_id=sounding)
        await talk.relay.finished("play", sounding)
    assert talk.caller.rtp.broken(mark) == []
    assert talk.caller.rtp.largest_stop_ms(mark) < 100


async def test_a_number_that_does_not_fit_is_refused_and_nobody_else_notices(talk: Talk) -> None:
    """A loop of 5,000,000,000 once cost the node its engine, and every other call its prompts."""
    silence = [{"type": "silence", "params": {"duration": 30}}]
    await talk.relay.command(talk.call, "play", control_id="goes on", play=silence)
    await talk.relay.event("play", lambda e: e.state == "playing")
    wrong = [
        ("play", {"control_id": "w", "play": silence, "loop": 5_000_000_000}),
        ("play", {"control_id": "w", "play": [{"type": "silence", "params": {"duration": 1e308}}]}),
        ("record", {"control_id": "w", "record": {"audio": {"max_length": 10_000_000}}}),
        ("echo", {"timeout": "nan"}),
    ]
    for verb, params in wrong:
        refused = await talk.relay.command(talk.call, verb, "400", **params)
        assert "must be" in refused["message"]
    await asyncio.sleep(0.2)
    own = [e.state for e in talk.relay.of_call(talk.call.call_id) if e.type == "calling.call.play"]
    assert own == ["playing"]
    await talk.relay.command(talk.call, "play.stop", control_id="goes on")
    await talk.relay.finished("play", "goes on")
