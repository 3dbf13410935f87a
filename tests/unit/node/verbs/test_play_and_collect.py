from __future__ import annotations

import asyncio

import pytest

from offhook.node.engine import ops

pytestmark = pytest.mark.virtual_clock

PROMPT = [{"type": "silence", "params": {"duration": 10}}]
AUDIO = [{"type": "audio", "params": {"url": "https://a/b.wav"}}]
TEXT = [{"type": "tts", "params": {"text": "Press one"}}]


async def ask(bench, call, control_id="c", play=PROMPT, initial_timeout=3.0, **digits):
    collect = {"initial_timeout": initial_timeout, "digits": {"max": 2, "digit_timeout": 2, **digits}}
    return await bench.run("calling.play_and_collect", call, control_id=control_id, play=play, collect=collect)


def result(bench) -> dict:
    return bench.sink.of("calling.call.collect")[-1]["result"]


async def test_the_first_digit_stops_the_prompt_inside_the_engine(bench):
    call = await bench.talk()
    assert (await ask(bench, call))["message"] == "Playing and collecting"
    await asyncio.sleep(1)
    bench.engine.press(call.leg.id, "7")
    await asyncio.sleep(0.5)
    assert bench.told("c") == ["play playing", "play finished"]
    bench.engine.press(call.leg.id, "8")
    await bench.sink.when("calling.call.collect")
    assert result(bench) == {"type": "digit", "params": {"digits": "78", "terminator": ""}}
    [play] = bench.engine.sent(ops.Play)
    assert play.interrupt == ["digit"]
    assert not bench.engine.sent(ops.Stop)


async def test_the_initial_timeout_runs_from_the_end_of_the_prompt(bench):
    call = await bench.talk()
    await ask(bench, call)
    await asyncio.sleep(12.9)
    assert bench.told("c") == ["play playing", "play finished"]
    await asyncio.sleep(0.3)
    assert bench.told("c") == ["play playing", "play finished", "collect no_input"]


async def test_timers_may_be_started_while_the_prompt_plays(bench):
    call = await bench.talk()
    await ask(bench, call)
    await asyncio.sleep(1)
    await bench.run("calling.collect.start_input_timers", call, control_id="c")
    await asyncio.sleep(12)
    assert result(bench) == {"type": "no_input"}


async def test_a_digit_before_the_prompt_was_synthesised_keeps_it_silent(bench):
    call = await bench.talk()
    await ask(bench, call, play=TEXT)
    await asyncio.sleep(0.01)
    bench.engine.press(call.leg.id, "12")
    await bench.sink.when("calling.call.collect")
    await asyncio.sleep(1)
    assert result(bench)["params"]["digits"] == "12"
    assert not bench.engine.sent(ops.Play)
    assert bench.told("c") == ["play finished", "collect digit"]


@pytest.mark.parametrize(("pressed", "expected"), [("1", "no_match"), ("12", "digit"), ("1#", "no_match")])
async def test_fewer_digits_than_the_least_are_no_match(bench, pressed, expected):
    call = await bench.talk()
    await ask(bench, call, min=2, terminators="#")
    await asyncio.sleep(1)
    bench.engine.press(call.leg.id, pressed)
    await bench.sink.when("calling.call.collect")
    assert result(bench)["type"] == expected


async def test_a_stop_ends_prompt_and_collection_for_both_clients(bench):
    call = await bench.talk()
    await ask(bench, call)
    await asyncio.sleep(1)
    await bench.run("calling.play_and_collect.stop", call, control_id="c")
    await asyncio.sleep(0.1)
    assert bench.told("c") == ["play playing", "play finished", "collect finished", "collect no_input"]


async def test_a_hangup_ends_it_the_same_way_before_the_call_ends(bench):
    call = await bench.talk()
    await ask(bench, call)
    await asyncio.sleep(1)
    bench.engine.hang_up(call.leg.id)
    await bench.ended(call)
    assert bench.told("c") == ["play playing", "play finished", "collect finished", "collect no_input"]
    assert bench.sink.events[-1].params["call_state"] == "ended"


async def test_one_blocking_action_at_a_time_and_the_refusal_names_it(bench):
    call = await bench.talk()
    await ask(bench, call)
    collect = {"digits": {"max": 1}}
    code, sentence = await bench.refused("calling.play_and_collect", call, control_id="d", play=PROMPT, collect=collect)
    assert code == "409"
    assert "play_and_collect c is running" in sentence
    await bench.run("calling.play", call, control_id="p", play=PROMPT)  # what is not blocking runs beside it


async def test_volume_reaches_the_prompt(bench):
    call = await bench.talk()
    await ask(bench, call)
    result = await bench.run("calling.play_and_collect.volume", call, control_id="c", volume=3)
    assert result["message"] == "Changed play and collect volume"
    await bench.sink.when("calling.call.play", state="playing")


async def test_a_prompt_that_cannot_be_spoken_is_an_error_of_both(bench):
    call = await bench.talk()
    bench.speech.failures.add("Press one")
    await ask(bench, call, play=TEXT)
    await bench.sink.when("calling.call.collect")
    assert bench.told("c") == ["play error", "collect error"]


async def test_a_prompt_that_the_engine_cannot_open_is_an_error_of_both(bench):
    call = await bench.talk()
    bench.fetcher.lengths_s["https://a/b.wav"] = 1.0
    fetched = bench.run("calling.play_and_collect", call, control_id="c", play=AUDIO, collect={"digits": {"max": 1}})
    await fetched
    await asyncio.sleep(0.11)  # it is fetched, and the engine was not asked to play it yet
    bench.engine.prompt_lengths_s.clear()
    await bench.sink.when("calling.call.collect")
    assert bench.told("c") == ["play error", "collect error"]
    assert "No such file" in result(bench)["params"]["message"]


async def test_speech_is_501_by_name(bench):
    call = await bench.talk()
    collect = {"digits": {"max": 1}, "speech": {"language": "en-US"}}
    code, sentence = await bench.refused("calling.play_and_collect", call, control_id="c", play=PROMPT, collect=collect)
    assert code == "501"
    assert "collect.speech" in sentence
