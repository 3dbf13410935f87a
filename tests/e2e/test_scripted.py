"""A script of the node on a real call: what it plays is heard, what is pressed and said it gets, without a client."""

from __future__ import annotations

import asyncio

import pytest

from bench import SETTINGS, Bench
from bench.scripts import ScriptOf
from offhook.node.calls.action import Cause, Outcome
from offhook.testing.phone import Phone
from rig.engine import running_engine
from rig.waiting import until

RINGTONE = {"type": "ringtone", "params": {"name": "us"}}


@pytest.fixture
async def caller():
    async with Phone() as phone:
        yield phone


async def test_a_script_plays_collects_and_stops_on_a_real_call_without_any_client(caller, tmp_path):
    async with running_engine() as engine:
        bench = Bench(tmp_path, SETTINGS)
        exchange, registry = bench.build(SETTINGS, engine.controller().port)
        async with exchange:
            welcome = await exchange.attach()
            calling = asyncio.create_task(caller.call(f"sip:100@{welcome.sip_udp}"))
            await until(lambda: len(exchange.calls) == 1, "a call came in")
            [call] = exchange.calls
            await call.answer([], 0.0)
            party = await calling
            script = ScriptOf(registry, call)
            music = await script.start("calling.play", control_id="music", play=[RINGTONE])
            await party.hears_tone(440, 480, within_s=30, lasting_s=0.5)
            keys = await script.start("calling.collect", control_id="keys", digits={"max": 9, "terminators": "#"})
            await keys.accepted()
            await party.press("42#")
            collected = await keys.ended()
            assert collected.params["result"]["params"] == {"digits": "42", "terminator": "#"}
            await music.stop()
            assert await music.ended() == Outcome(Cause.STOPPED, {"state": "finished"})
            recording = await script.start("calling.record", control_id="voice", record={"audio": {"max_length": 1}})
            recorded = await recording.ended()
            assert (recorded.cause, recorded.params["state"]) == (Cause.FINISHED, "finished")
            assert recorded.params["duration"] == pytest.approx(1.0, abs=0.05)
            assert [file.stat().st_size > 16_000 for file in engine.options.recordings.iterdir()] == [True]
            last = await script.start("calling.play", control_id="last", play=[RINGTONE])
            await script.heard.when("calling.call.play", control_id="last", state="playing")
            await party.hangup()
            assert await last.ended() == Outcome(Cause.HANGUP, {"state": "finished"})
            assert bench.told("music", script.heard) == ["play playing", "play finished"]
            await bench.ended(call)
        assert {event.event_type for event in bench.sink.events} == {"calling.call.state"}, "no client hears of it"
