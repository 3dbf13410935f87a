"""Verbs that a script of the node starts, awaits and stops, without any client."""

from __future__ import annotations

import asyncio

import pytest

from bench import Bench
from bench.scripts import ScriptOf
from offhook.errors import CommandRefused
from offhook.node.calls.action import Cause, Outcome
from offhook.node.calls.label import parse_label
from offhook.node.engine import ops

pytestmark = pytest.mark.virtual_clock

SILENCE = {"type": "silence", "params": {"duration": 500}}
SHORT = {"type": "silence", "params": {"duration": 1}}


async def scripted(bench: Bench) -> ScriptOf:
    """A call that a script answered."""
    call = bench.ring()
    await call.answer([], 0.0)
    return ScriptOf(bench.registry, call)


async def test_a_script_plays_and_collects_awaits_their_ends_and_stops_one_without_any_client(bench):
    script = await scripted(bench)
    greeting = await script.start("calling.play", control_id="greeting", play=[SHORT])
    assert await greeting.ended() == Outcome(Cause.FINISHED, {"state": "finished"})
    music = await script.start("calling.play", control_id="music", play=[SILENCE])
    await script.heard.when("calling.call.play", control_id="music", state="playing")
    keys = await script.start("calling.collect", control_id="keys", digits={"max": 2})
    await keys.accepted()
    bench.engine.press(script.call.leg.id, "42")
    collected = await keys.ended()
    assert collected.cause is Cause.FINISHED
    assert collected.params["result"] == {"type": "digit", "params": {"digits": "42", "terminator": ""}}
    await music.stop()
    assert await music.ended() == Outcome(Cause.STOPPED, {"state": "finished"})
    assert script.call.actions == {}
    assert (
        bench.told("greeting", script.heard) == bench.told("music", script.heard) == ["play playing", "play finished"]
    )
    assert bench.told("keys", script.heard) == ["collect digit"]
    assert {event.event_type for event in bench.sink.events} == {"calling.call.state"}, "no client hears of it"


async def test_what_ended_may_be_stopped_and_asked_again(bench):
    script = await scripted(bench)
    play = await script.start("calling.play", control_id="p", play=[SHORT])
    first = await play.ended()
    await play.stop()
    assert await play.ended() == first == Outcome(Cause.FINISHED, {"state": "finished"})
    assert bench.told("p", script.heard) == ["play playing", "play finished"]


async def test_a_recording_tells_its_script_where_it_is_and_how_long(bench):
    script = await scripted(bench)
    recording = await script.start("calling.record", control_id="r", record={"audio": {"max_length": 3}})
    accepted = await recording.accepted()
    outcome = await recording.ended()
    assert outcome.cause is Cause.FINISHED
    assert (outcome.params["state"], outcome.params["duration"]) == ("finished", 3.0)
    assert outcome.params["url"] == accepted["url"]


async def test_with_the_call_all_that_a_script_runs_ends(bench):
    script = await scripted(bench)
    play = await script.start("calling.play", control_id="p", play=[SILENCE])
    keys = await script.start("calling.collect", control_id="k", digits={"max": 2}, initial_timeout=500)
    digits = await script.start("calling.send_digits", control_id="d", digits="1WWWWWW")
    await asyncio.sleep(1)
    bench.engine.hang_up(script.call.leg.id)
    assert await play.ended() == Outcome(Cause.HANGUP, {"state": "finished"})
    assert await keys.ended() == Outcome(Cause.HANGUP, {"result": {"type": "finished"}})
    ended = await digits.ended()
    assert (ended.cause, ended.params["state"]) == (Cause.HANGUP, "error")
    assert (await script.refused("calling.play", control_id="q", play=[SILENCE]))[0] == "410"


async def test_a_prompt_that_cannot_be_played_says_why(bench):
    bench.speech.failures.add("fails")
    script = await scripted(bench)
    prompt = {"play": [{"type": "tts", "params": {"text": "fails"}}], "collect": {"digits": {"max": 1}}}
    running = await script.start("calling.play_and_collect", control_id="p", **prompt)
    failed = {"type": "error", "params": {"message": "The synthesiser failed"}}
    assert await running.ended() == Outcome(Cause.ERROR, {"result": failed})


async def test_with_its_engine_a_verb_ends_in_an_error(bench):
    script = await scripted(bench)
    play = await script.start("calling.play", control_id="p", play=[SILENCE])
    await asyncio.sleep(1)
    bench.engine.crash()
    bench.exchange.engine_died()
    outcome = await play.ended()
    assert (outcome.cause, outcome.params["state"]) == (Cause.ENGINE_LOST, "error")


async def test_what_does_not_begin_says_so_to_both_waits_and_tells_nothing(bench):
    script = await scripted(bench)
    bench.engine.refuse_next(ops.Record)
    running = await script.start("calling.record", control_id="r", record={"audio": {}})
    for wait in (running.accepted(), running.ended()):
        with pytest.raises(CommandRefused):
            await wait
    assert script.heard.events == []


async def test_a_script_is_refused_as_a_client_is(bench):
    ringing = ScriptOf(bench.registry, bench.ring())
    assert await ringing.refused("calling.play", control_id="p", play=[SILENCE]) == ("409", "answer() first")
    script = await scripted(bench)
    for method, params, code in [
        ("calling.play", {"play": [SILENCE], "status_url": "https://a.example/hook"}, "501"),
        ("calling.play", {"play": [{"type": "ringtone", "params": {"name": "fr"}}]}, "501"),
        ("calling.play", {"play": [{"type": "ringtone", "params": {"name": "none"}}]}, "400"),
        ("calling.collect", {"digits": {"max": 1}, "speech": {}}, "501"),
        ("calling.detect", {"detect": {"type": "machine"}}, "501"),
    ]:
        asked = f"{method} {params}"
        assert (await script.refused(method, control_id="x", **params))[0] == code, asked
    assert script.call.actions == {}


async def test_the_same_again_is_the_same_verb_and_another_under_its_name_is_refused(bench):
    script = await scripted(bench)
    first = await script.start("calling.play", control_id="p", play=[SILENCE])
    assert await script.start("calling.play", control_id="p", play=[SILENCE]) is first
    assert (await script.refused("calling.play", control_id="p", play=[SHORT]))[0] == "409"


async def test_a_waiter_that_goes_changes_nothing(bench):
    script = await scripted(bench)
    play = await script.start("calling.play", control_id="p", play=[SHORT])
    waiting = asyncio.create_task(play.ended())
    await asyncio.sleep(0.5)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await play.ended() == Outcome(Cause.FINISHED, {"state": "finished"})


async def test_the_names_of_a_script_are_its_own(bench):
    """A client of the call neither meets nor steers what a script does there, and two scripts do not meet."""
    one = await scripted(bench)
    other = ScriptOf(bench.registry, one.call, "other")
    ones = await one.start("calling.play", control_id="p", play=[SILENCE])
    others = await other.start("calling.play", control_id="p", play=[SILENCE])
    assert (await bench.refused("calling.play.stop", one.call, control_id="p"))[0] == "404"
    await bench.run("calling.play", one.call, control_id="p", play=[SILENCE])
    await bench.sink.when("calling.call.play", control_id="p", state="playing")
    await bench.run("calling.play.stop", one.call, control_id="p")
    await bench.sink.when("calling.call.play", control_id="p", state="finished")
    await asyncio.sleep(1)
    assert bench.told("p", one.heard) == bench.told("p", other.heard) == ["play playing"]
    await ones.stop()
    await ones.ended()
    assert bench.told("p", other.heard) == ["play playing"]
    await others.stop()
    await others.ended()
    assert bench.told("p") == ["play playing", "play finished"]


async def test_one_collects_at_a_time_whoever_it_is(bench):
    script = await scripted(bench)
    keys = await script.start("calling.collect", control_id="k", digits={"max": 1}, initial_timeout=500)
    await keys.accepted()
    code, sentence = await bench.refused("calling.collect", script.call, control_id="c", digits={"max": 1})
    assert (code, "collect k is running" in sentence) == ("409", True)
    await keys.stop()
    await keys.ended()
    await bench.run("calling.collect", script.call, control_id="c", digits={"max": 1}, initial_timeout=500)
    assert (await script.refused("calling.collect", control_id="k", digits={"max": 1}))[0] == "409"


async def test_what_a_script_does_is_not_left_with_the_engine_and_is_bounded_all_the_same(bench):
    script = await scripted(bench)

    async def fill() -> None:
        for index in range(40):
            await script.start("calling.play", control_id=f"{index:0>200}", play=[SILENCE])

    with pytest.raises(CommandRefused, match="stop one first"):
        await fill()
    assert 20 < len(script.call.actions) < 40
    label = parse_label(script.call.label())
    assert label is not None
    assert label.actions == []
