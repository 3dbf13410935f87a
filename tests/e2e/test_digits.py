"""Digits as phones send them: each exactly once, whichever way it comes."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from rig import audio
from rig.dialog import sdp
from rig.fixtures import Callers, Talk, answered
from rig.processes import clock_of
from rig.relay import RelayPeer

KEYS = "1590*#AD"
ATTEMPTS = 5
LINE_MAX_BEHIND_S = 0.02
"""More than this, and the machine did not let the phone send in time."""


async def collected(talk: Talk, count: int) -> str:
    """Digits of one continuous-by-hand collect: ends 1 s after the last, so a digit that came twice shows."""
    found = await talk.relay.event("collect", lambda e: e.params["control_id"] == "keys")
    assert found.params["result"]["type"] == "digit", found.params
    return str(found.params["result"]["params"]["digits"])


async def listen(talk: Talk, digit_timeout: float = 1.0) -> None:
    digits = {"max": 30, "digit_timeout": digit_timeout}
    await talk.relay.command(talk.call, "collect", control_id="keys", digits=digits, initial_timeout=30)


@pytest.mark.parametrize("marker", [True, False], ids=["marker", "no-marker"])
async def test_rfc_4733_events_are_each_heard_once(talk: Talk, marker: bool) -> None:
    """livekit/sip#742: digits of carriers that omit the marker were lost."""
    await listen(talk)
    for key in KEYS:
        talk.caller.rtp.digit(key, marker=marker)
    assert await collected(talk, len(KEYS)) == KEYS


async def test_the_same_key_twice_is_two_digits(talk: Talk) -> None:
    await listen(talk)
    for key in "5555":
        talk.caller.rtp.digit(key, duration_ms=60)
    assert await collected(talk, 4) == "5555"


async def test_a_key_held_for_two_seconds_is_one_digit(talk: Talk) -> None:
    await listen(talk)
    talk.caller.rtp.digit("6", duration_ms=2000)
    assert await collected(talk, 1) == "6"


async def test_digits_whose_ends_are_all_lost_are_heard_once(talk: Talk) -> None:
    """livekit/sip#585: decoding by the end bit loses these."""
    await listen(talk, digit_timeout=2.0)
    sent: list[int] = []

    def lose_ends(number: int) -> float | None:
        sent.append(number)
        return None if len(sent) % 9 in (7, 8, 0) else 0.0

    rtp = talk.caller.rtp
    for key in "27":
        rtp.impair = lambda _n: 0.0
        sent.clear()
        rtp.digit(key)
        rtp.impair = lose_ends
        await rtp.has_said_all()
        await asyncio.sleep(0.2)
        rtp.impair = lambda _n: 0.0
        await asyncio.sleep(0.1)
    assert await collected(talk, 2) == "27"


async def test_info_digits_are_each_heard_once(talk: Talk) -> None:
    await listen(talk, digit_timeout=3.0)  # each of them is asked and answered
    for key in KEYS:
        assert (await talk.caller.info_digit(key)).status == 200
    assert await collected(talk, len(KEYS)) == KEYS


@pytest.mark.judges_time
async def test_tones_are_each_heard_once_where_no_events_were_negotiated(callers: Callers, relay: RelayPeer) -> None:
    """A line that stalls breaks a tone in two: where it did, it is tried again."""
    for _ in range(ATTEMPTS):
        caller = await callers()
        talk = await answered(caller, relay, sdp(caller.rtp.port, events=False))
        await listen(talk)
        caller.rtp.behind_s = 0.0
        caller.rtp.play(np.concatenate([part for key in KEYS for part in (audio.dtmf(key, 0.09), audio.silence(0.09))]))
        heard = await collected(talk, len(KEYS))
        print(f"heard {heard}; the line was up to {caller.rtp.behind_s * 1000:.1f} ms behind")
        await caller.bye()
        await relay.state(talk.call, "ended")
        if heard == KEYS or caller.rtp.behind_s <= LINE_MAX_BEHIND_S:
            break
    assert heard == KEYS


async def test_tones_beside_events_do_not_double_a_digit(talk: Talk) -> None:
    """A gateway that sends the event and leaves the tone in the audio."""
    await listen(talk, digit_timeout=2.0)
    for key in "19":
        talk.caller.rtp.play(audio.dtmf(key, 0.04))
        talk.caller.rtp.digit(key)
        await talk.caller.rtp.has_said_all()
        await asyncio.sleep(0.3)
    assert await collected(talk, 2) == "19"


def told(talk: Talk) -> list[str]:
    """Each event of the collect: state, final, type and digits."""
    events = [e.params for e in talk.relay.of_call(talk.call.call_id) if e.type == "calling.call.collect"]
    words = [
        (p.get("state"), p.get("final"), p["result"]["type"], p["result"].get("params", {}).get("digits"))
        for p in events
    ]
    return [" ".join(str(word) for word in line if word is not None) for line in words]


async def test_a_continuous_collect_shows_each_key_and_begins_again_until_it_is_stopped(talk: Talk) -> None:
    collect = {"digits": {"max": 2, "digit_timeout": 1.0}, "continuous": True, "partial_results": True}
    await talk.relay.command(talk.call, "collect", control_id="keys", **collect, send_start_of_input=True)
    for key in "123":
        talk.caller.rtp.digit(key, duration_ms=60)
    await talk.relay.event("collect", lambda e: e.params["result"].get("params", {}).get("digits") == "3")
    await talk.relay.command(talk.call, "collect.stop", control_id="keys")
    await talk.relay.event("collect", lambda e: e.params["result"]["type"] == "no_input")
    first = ["start_of_input", "collecting False digit 1", "collecting False digit 12", "collecting True digit 12"]
    rest = ["start_of_input", "collecting False digit 3", "finished True finished", "finished True no_input"]
    assert told(talk) == first + rest


@pytest.mark.judges_time
async def test_a_terminator_ends_a_collect_and_its_timers_run_when_they_are_started(talk: Talk) -> None:
    collect = {"digits": {"max": 9, "terminators": "#"}, "initial_timeout": 0.5, "partial_results": True}
    await talk.relay.command(talk.call, "collect", control_id="keys", **collect)
    await asyncio.sleep(0.8)
    assert told(talk) == [], "the initial timeout ran before anybody started it"
    for key in "98#":
        talk.caller.rtp.digit(key, duration_ms=60)
    done = await talk.relay.event("collect", lambda e: e.params["final"])
    assert done.params["result"] == {"type": "digit", "params": {"digits": "98", "terminator": "#"}}
    assert told(talk) == ["collecting False digit 9", "collecting False digit 98", "finished True digit 98"]
    await talk.relay.command(talk.call, "collect", control_id="later", digits={"max": 1}, initial_timeout=0.3)
    clock = clock_of(talk.relay.node)
    began = clock.start()
    await talk.relay.command(talk.call, "collect.start_input_timers", control_id="later")
    late = await talk.relay.event("collect", lambda e: e.params["control_id"] == "later")
    assert clock.took(began, late.at) < 1.0
    assert late.params["result"] == {"type": "no_input"}


async def test_speech_is_no_digit(talk: Talk, tmp_path: object) -> None:
    await talk.relay.command(
        talk.call, "collect", control_id="keys", digits={"max": 1}, initial_timeout=6, start_input_timers=True
    )
    said = audio.speech(
        "The quick brown fox jumps over the lazy dog, and counts one two three four.", tmp_path / "fox.wav"
    )
    talk.caller.rtp.play(said)
    done = await talk.relay.event("collect", lambda e: e.params["control_id"] == "keys")
    assert done.params["result"]["type"] == "no_input"
