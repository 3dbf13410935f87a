from __future__ import annotations

import asyncio

import msgspec
import pytest

from offhook.protocol.verbs.collect import CollectEvent

pytestmark = pytest.mark.virtual_clock


async def collect(bench, call, control_id="c", digits=None, **params):
    digits = {"max": 3, "terminators": "#", "digit_timeout": 2} if digits is None else digits
    return await bench.run("calling.collect", call, control_id=control_id, digits=digits, **params)


def results(bench, control_id="c") -> list[dict]:
    return [params["result"] for params in bench.sink.of("calling.call.collect", control_id=control_id)]


async def test_the_last_digit_completes_it(bench):
    call = await bench.talk()
    assert (await collect(bench, call))["message"] == "Collecting"
    await asyncio.sleep(0.1)
    bench.engine.press(call.leg.id, "123")
    params = await bench.sink.when("calling.call.collect")
    msgspec.convert(params, CollectEvent)
    assert params["result"] == {"type": "digit", "params": {"digits": "123", "terminator": ""}}
    assert "state" not in params
    assert "final" not in params
    assert all(event.settle for event in bench.sink.events if event.event_type == "calling.call.collect")


async def test_a_terminator_completes_it_and_is_not_among_the_digits(bench):
    call = await bench.talk()
    await collect(bench, call)
    bench.engine.press(call.leg.id, "4#")
    await bench.sink.when("calling.call.collect")
    assert results(bench) == [{"type": "digit", "params": {"digits": "4", "terminator": "#"}}]


async def test_a_pause_between_keys_completes_it_with_what_came(bench):
    call = await bench.talk()
    await collect(bench, call)
    for digit in "12":
        bench.engine.press(call.leg.id, digit)
        await asyncio.sleep(1.9)
    assert results(bench) == []
    await asyncio.sleep(0.2)
    assert results(bench) == [{"type": "digit", "params": {"digits": "12", "terminator": ""}}]


async def test_the_initial_timeout_counts_only_once_the_timers_run(bench):
    call = await bench.talk()
    await collect(bench, call, initial_timeout=3)
    await asyncio.sleep(100)
    assert results(bench) == []
    result = await bench.run("calling.collect.start_input_timers", call, control_id="c")
    assert result["message"] == "Starting input timers"
    await asyncio.sleep(2.9)
    assert results(bench) == []
    await asyncio.sleep(0.2)
    assert results(bench) == [{"type": "no_input"}]


async def test_the_timers_may_run_from_the_start(bench):
    call = await bench.talk()
    await collect(bench, call, start_input_timers=True)
    await asyncio.sleep(4.1)
    assert results(bench) == [{"type": "no_input"}]


async def test_a_stopped_collect_says_finished_and_then_no_input(bench):
    call = await bench.talk()
    await collect(bench, call)
    assert (await bench.run("calling.collect.stop", call, control_id="c"))["message"] == "Stopping"
    await asyncio.sleep(0.1)
    assert bench.told("c") == ["collect finished", "collect no_input"]


async def test_a_hung_up_collect_says_the_same_before_the_call_ends(bench):
    call = await bench.talk()
    await collect(bench, call)
    bench.engine.press(call.leg.id, "1")
    bench.engine.hang_up(call.leg.id)
    await bench.ended(call)
    assert bench.told("c") == ["collect finished", "collect no_input"]
    assert bench.sink.events[-1].params["call_state"] == "ended"


async def test_partial_results_show_each_digit_and_the_last_one_is_final(bench):
    call = await bench.talk()
    await collect(bench, call, digits={"max": 2}, partial_results=True, send_start_of_input=True)
    bench.engine.press(call.leg.id, "1")
    await asyncio.sleep(1)
    bench.engine.press(call.leg.id, "2")
    await asyncio.sleep(0.1)
    events = [
        (params["result"]["type"], params.get("state"), params.get("final"), params["result"].get("params"))
        for params in bench.sink.of("calling.call.collect")
    ]
    assert events == [
        ("start_of_input", None, None, None),
        ("digit", "collecting", False, {"digits": "1", "terminator": ""}),
        ("digit", "collecting", False, {"digits": "12", "terminator": ""}),
        ("digit", "finished", True, {"digits": "12", "terminator": ""}),
    ]


async def test_a_continuous_collect_begins_again_until_it_is_stopped(bench):
    call = await bench.talk()
    await collect(bench, call, digits={"max": 1}, continuous=True)
    for digit in "123":
        bench.engine.press(call.leg.id, digit)
        await asyncio.sleep(1)
    updates = bench.sink.of("calling.call.collect", state="collecting", final=True)
    assert [params["result"]["params"]["digits"] for params in updates] == ["1", "2", "3"]
    await bench.run("calling.collect.stop", call, control_id="c")
    await asyncio.sleep(0.1)
    assert [params["result"]["type"] for params in bench.sink.of("calling.call.collect", state="finished")] == [
        "finished",
        "no_input",
    ]


async def test_digits_pressed_together_are_not_lost_between_two_rounds(bench):
    call = await bench.talk()
    await collect(bench, call, digits={"max": 1}, continuous=True)
    await asyncio.sleep(0)
    bench.engine.press(call.leg.id, "12345")
    await asyncio.sleep(1)
    assert [result["params"]["digits"] for result in results(bench)] == list("12345")


async def test_a_continuous_collect_says_no_input_once(bench):
    call = await bench.talk()
    await collect(bench, call, continuous=True, start_input_timers=True, initial_timeout=1)
    await asyncio.sleep(30)
    assert results(bench) == [{"type": "no_input"}]


async def test_one_collect_runs_at_a_time(bench):
    call = await bench.talk()
    await collect(bench, call)
    code, sentence = await bench.refused("calling.collect", call, control_id="d", digits={"max": 1})
    assert code == "409"
    assert "collect c is running" in sentence


@pytest.mark.parametrize(
    ("params", "code", "word"),
    [
        ({}, "400", "digits"),
        ({"speech": {}}, "501", "speech"),
        ({"digits": {"max": 1}, "speech": {}}, "501", "speech"),
        ({"digits": {}}, "400", "digits.max"),
        ({"digits": {"max": 0}}, "400", "digits.max"),
        ({"digits": {"max": 1, "digit_timeout": 0}}, "400", "digits.digit_timeout"),
        ({"digits": {"max": 1}, "status_url": "https://a.example/"}, "501", "status_url"),
    ],
)
async def test_what_is_wrong_is_named(bench, params, code, word):
    call = await bench.talk()
    refused, sentence = await bench.refused("calling.collect", call, control_id="c", **params)
    assert refused == code
    assert word in sentence
