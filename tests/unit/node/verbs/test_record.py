from __future__ import annotations

import asyncio

import msgspec
import pytest

from offhook.node.calls.label import parse_label
from offhook.node.engine import ops
from offhook.protocol.verbs.record import RecordEvent

pytestmark = pytest.mark.virtual_clock


async def record(bench, call, **audio):
    return await bench.run("calling.record", call, control_id="r", record={"audio": audio})


async def test_recording_goes_out_at_the_first_frame_and_finished_with_all_of_the_file(bench):
    call = await bench.talk()
    result = await record(bench, call, stereo=True, direction="both")
    assert (result["message"], result["control_id"], result["call_id"]) == ("Recording", "r", call.call_id)
    assert bench.told("r") == []
    await bench.sink.when("calling.call.record", state="recording")
    await asyncio.sleep(4)
    await bench.run("calling.record.stop", call, control_id="r")
    params = await bench.sink.when("calling.call.record", state="finished")
    event = msgspec.convert(params, RecordEvent)
    assert event.duration == pytest.approx(4, abs=0.05)
    assert event.url == result["url"]
    assert event.url.endswith(f"/{event.recording_id}.wav")
    assert event.size > 4 * 16000 * 2
    assert event.end_time - event.first_frame_time == pytest.approx(event.duration, abs=0.05)
    assert params["record"] == {"audio": {"format": "wav", "stereo": True, "direction": "both"}}
    finished = bench.sink.events[-1]
    assert finished.durable
    assert [event.params["record"] for event in bench.sink.events if "record" in event.params] == [params["record"]] * 2


async def test_an_absent_format_means_wav_and_the_event_says_so(bench):
    call = await bench.talk()
    await record(bench, call)
    params = await bench.sink.when("calling.call.record", state="recording")
    assert params["record"]["audio"] == {"format": "wav", "stereo": False, "direction": "speak"}


@pytest.mark.parametrize("name", ["mp3", "mp4"])
async def test_formats_that_are_not_built_are_501_by_name(bench, name):
    call = await bench.talk()
    code, sentence = await bench.refused(
        "calling.record", call, control_id="r", record={"audio": {"format": name, "stereo": True}}
    )
    assert code == "501"
    assert "record.audio.format" in sentence
    assert name in sentence


async def test_what_the_caller_wants_reaches_the_engine_in_its_units(bench):
    call = await bench.talk()
    await record(
        bench, call, format="wav", beep=True, direction="listen", initial_timeout=2.5, end_silence_timeout=1,
        terminators="#a", max_length=90, input_sensitivity=60,
    )  # fmt: skip
    [sent] = bench.engine.sent(ops.Record)
    assert (sent.beep, sent.side, sent.initial_timeout_ms, sent.end_silence_timeout_ms) == (True, "listen", 2500, 1000)
    assert (sent.terminators, sent.max_length_ms, sent.sensitivity) == ("#A", 90_000, 60)


async def test_nobody_speaking_is_no_input(bench):
    call = await bench.talk()
    await record(bench, call, initial_timeout=3)
    await bench.sink.when("calling.call.record", state="no_input")
    assert bench.told("r") == ["record recording", "record no_input"]


async def test_a_terminator_silence_and_the_longest_time_finish(bench):
    for index, audio in enumerate([{}, {"end_silence_timeout": 1}, {"max_length": 5}]):
        call = await bench.talk()
        control_id = f"r{index}"
        await bench.run("calling.record", call, control_id=control_id, record={"audio": audio})
        await asyncio.sleep(1)
        bench.engine.speak(call.leg.id, 1)
        if not audio:
            bench.engine.press(call.leg.id, "#")
        await bench.sink.when("calling.call.record", control_id=control_id, state="finished")


async def test_the_engine_knows_what_goes_on_under_another_node_before_it_begins(bench):
    call = await bench.talk()
    await bench.run("calling.record", call, control_id="r", record={"audio": {}})
    [record] = bench.engine.sent(ops.Record)
    labels = [parse_label(sent.label) for sent in bench.engine.operations if isinstance(sent, ops.LegLabel)]
    before = bench.engine.operations.index(record)
    [action] = parse_label(bench.engine.operations[before - 1].label).actions
    assert action.operation == record.id
    assert labels[-1].actions == [action]


async def test_a_resume_that_the_engine_refuses_leaves_it_paused(bench):
    call = await bench.talk()
    await bench.run("calling.record", call, control_id="r", record={"audio": {}})
    await bench.sink.when("calling.call.record", control_id="r", state="recording")
    await bench.run("calling.record.pause", call, control_id="r")
    bench.engine.refuse_next(ops.Resume, "wrong_state", "not now")
    assert await bench.refused("calling.record.resume", call, control_id="r") == ("409", "not now")
    await bench.run("calling.record.resume", call, control_id="r")
    assert bench.told("r") == ["record recording", "record paused", "record recording"]


async def test_a_pause_tells_its_behaviour_and_twice_changes_nothing(bench):
    call = await bench.talk()
    await record(bench, call)
    await bench.sink.when("calling.call.record", state="recording")
    assert (await bench.run("calling.record.pause", call, control_id="r", behavior="silence"))["message"]
    await bench.run("calling.record.pause", call, control_id="r")
    paused = bench.sink.of("calling.call.record", state="paused")
    assert [params["pause_behavior"] for params in paused] == ["silence"]
    await asyncio.sleep(2)
    await bench.run("calling.record.resume", call, control_id="r")
    await bench.run("calling.record.resume", call, control_id="r")
    await bench.run("calling.record.stop", call, control_id="r")
    await bench.sink.when("calling.call.record", state="finished")
    assert bench.told("r") == ["record recording", "record paused", "record recording", "record finished"]
    assert [pause.behavior for pause in bench.engine.sent(ops.Pause)] == ["silence"]


async def test_a_hangup_finishes_the_recording_with_its_url_before_the_call_ends(bench):
    """jambonz/jambonz-feature-server#412: the final status of a recording is sent, however the call ends."""
    call = await bench.talk()
    await record(bench, call)
    await asyncio.sleep(2)
    await bench.run("calling.end", call)
    await bench.ended(call)
    [finished] = bench.sink.of("calling.call.record", state="finished")
    assert finished["duration"] == pytest.approx(2, abs=0.1)
    assert bench.sink.events[-1].params["call_state"] == "ended"


async def test_a_recording_that_the_engine_refuses_is_refused_and_has_no_event(bench):
    call = await bench.talk()
    bench.engine.refuse_next(ops.Record, "no_capacity", "The disk is full: free some space")
    code, sentence = await bench.refused("calling.record", call, control_id="r", record={"audio": {}})
    assert (code, sentence) == ("500", "The disk is full: free some space")
    assert bench.told("r") == []


async def test_a_recording_that_fails_later_settles_every_client(bench):
    call = await bench.talk()
    await record(bench, call)
    await bench.sink.when("calling.call.record", state="recording")
    [sent] = bench.engine.sent(ops.Record)
    bench.engine.end_operation(sent.id, "error", "disk full")
    await bench.sink.when("calling.call.record", state="no_input")
    assert bench.told("r") == ["record recording", "record error", "record no_input"]
    assert bench.sink.of("calling.call.record", state="error")[0]["message"] == "disk full"


async def test_recordings_run_beside_each_other(bench):
    call = await bench.talk()
    for control_id in ("a", "b"):
        await bench.run("calling.record", call, control_id=control_id, record={"audio": {}})
    await bench.sink.when("calling.call.record", control_id="b", state="recording")
    assert len({sent.recording for sent in bench.engine.sent(ops.Record)}) == 2
