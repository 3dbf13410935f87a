"""Calls and actions: what goes over the wire, how actions end, who hears events."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from offhook import CollectEvent, PlayEvent, RecordEvent, RelayEvent
from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from offhook.errors import RelayError
from offhook.protocol.states import CallState, EndReason, EndSource
from offhook.testing.node import ScriptedCall, ScriptedNode

PHONE: Any = {"type": "phone", "params": {"to_number": "+15550001", "from_number": "+15550002"}}
TTS: Any = {"type": "tts", "params": {"text": "hello"}}
KEYED = {"calling.play", "calling.record", "calling.collect", "calling.play_and_collect"}


@pytest.fixture
async def pair(node: ScriptedNode, client: RelayClient) -> tuple[Call, ScriptedCall]:
    """A call, as the app has it and as its party sees it; every verb goes on until it is stopped."""
    caught: asyncio.Future[Call] = asyncio.get_running_loop().create_future()

    @client.on_call
    async def handle(call: Call) -> None:
        caught.set_result(call)

    node.hold(*KEYED)
    party = await node.offer()
    return await caught, party


async def test_calls_on_which_nothing_runs_and_to_which_nobody_listens_share_what_is_empty(
    pair: tuple[Call, ScriptedCall],
) -> None:
    """There may be thousands, and each had two tables of its own."""
    call, party = pair
    other = Call(call._client, RelayEvent("calling.call.receive", {"call_id": "other"}))
    assert call._running.by_id is other._running.by_id
    assert call._handlers.by_type is other._handlers.by_type
    action = await call.play([{"type": "silence", "params": {"duration": 1}}])
    remove = call.on("calling.call.play", lambda _: None)
    assert (list(call._running.by_id), list(call._handlers.by_type)) == ([action.control_id], ["calling.call.play"])
    assert not other._running.by_id
    assert not other._handlers.by_type
    remove()
    await party.end(EndReason.HANGUP, EndSource.INBOUND)
    await call.wait_for_ended()
    assert call._running.by_id is other._running.by_id


async def test_a_wait_that_times_out_or_is_cancelled_leaves_the_action_alone(pair: tuple[Call, ScriptedCall]) -> None:
    call, party = pair
    action = await call.play([TTS])
    with pytest.raises(TimeoutError):
        await action.wait(timeout=0.01)
    waiting = [asyncio.create_task(action.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    assert not action.is_done
    assert action.result is None
    await party.finish(action.control_id)
    assert (await waiting[1]) is (await waiting[2]) is action.result
    assert action.completed
    assert isinstance(action.result, PlayEvent)
    assert action.result.state == "finished"


async def test_on_completed_may_be_sync_or_async_and_its_failure_is_logged(
    pair: tuple[Call, ScriptedCall], caplog: pytest.LogCaptureFixture
) -> None:
    call, party = pair
    seen: list[RelayEvent] = []
    both = asyncio.Event()

    async def later(event: RelayEvent) -> None:
        seen.append(event)
        both.set()

    def fails(event: RelayEvent) -> None:
        raise ZeroDivisionError("in the callback")

    first = await call.play([TTS], on_completed=seen.append)
    second = await call.record(on_completed=later)
    third = await call.play([TTS], on_completed=fails)
    for action in (first, third, second):
        await party.finish(action.control_id)
    await asyncio.wait_for(both.wait(), 30)
    assert [event.event_type for event in seen] == ["calling.call.play", "calling.call.record"]
    assert "in the callback" in caplog.text
    assert call.call_id in caplog.text
    assert third.is_done


async def test_an_action_in_async_with_is_stopped_on_the_way_out(
    node: ScriptedNode, pair: tuple[Call, ScriptedCall]
) -> None:
    call, _ = pair
    async with await call.play([TTS]) as action:
        assert not action.is_done
    assert (await node.until("calling.play.stop"))["control_id"] == action.control_id


async def test_open_actions_end_with_the_call_and_later_ones_come_back_ended(pair: tuple[Call, ScriptedCall]) -> None:
    call, party = pair
    seen: list[str | None] = []
    action = await call.play([TTS], on_completed=lambda event: seen.append(event.cause))
    party.open.clear()  # this node forgets to finish it
    await party.hangup()
    ended = await call.wait_for_ended(5)
    assert (ended.params["end_reason"], ended.cause) == ("hangup", None)
    assert (await action.wait(1)).cause == "ended"
    later = await call.record(on_completed=lambda event: seen.append(event.cause))
    assert later.is_done
    assert seen == ["ended", "ended"]
    assert await call.hangup() == {}
    assert await action.stop() == {}


@pytest.mark.parametrize("code", ["404", "410"])
async def test_an_action_on_a_call_that_is_gone_comes_back_ended(
    node: ScriptedNode, pair: tuple[Call, ScriptedCall], code: str
) -> None:
    call, _ = pair
    seen: list[str | None] = []
    node.answer("calling.play", {"code": code, "message": "gone"})
    node.answer("calling.answer", {"code": code, "message": "gone"})
    action = await call.play([TTS], on_completed=lambda event: seen.append(event.cause))
    assert (action.is_done, seen) == (True, ["gone"])
    assert action.result is not None
    assert action.result.params == {}
    assert await call.answer() == {}


@pytest.mark.parametrize(("code", "number"), [("409", 409), ("500", 500), ("what", -1)])
async def test_other_refusals_raise_and_leave_no_open_action(
    node: ScriptedNode, pair: tuple[Call, ScriptedCall], code: str, number: int
) -> None:
    call, _ = pair
    node.answer("calling.play", {"code": code, "message": "answer() first"})
    with pytest.raises(RelayError, match=r"RELAY error -?\d+: answer\(\) first") as caught:
        await call.play([TTS])
    assert caught.value.code == number


async def collected(party: ScriptedCall, control_id: str, **params: Any) -> None:
    await party.send("calling.call.collect", {"control_id": control_id, **params})


async def test_a_collect_does_not_end_on_a_partial_result_or_the_start_of_input(
    client: RelayClient, pair: tuple[Call, ScriptedCall]
) -> None:
    call, party = pair
    action = await call.collect(speech={}, partial_results=True, control_id="c")
    await collected(party, "c", result={"type": "start_of_input"})
    partial = {"type": "speech", "params": {"text": "I would", "confidence": 0}}
    await collected(party, "c", result=partial, final=False, state="collecting")
    await party.send("calling.call.play", {"control_id": "c", "state": "finished"})
    await client.execute("signalwire.ping", {})
    assert not action.is_done
    said = {"type": "speech", "params": {"text": "I would like", "confidence": 83.2}}
    await collected(party, "c", result=said, final=True, state="finished")
    event = await action.wait(2)
    assert isinstance(event, CollectEvent)
    assert (event.result_type, event.text, event.confidence) == ("speech", "I would like", 83.2)


async def test_a_continuous_collect_ends_when_it_is_stopped(
    client: RelayClient, pair: tuple[Call, ScriptedCall]
) -> None:
    call, party = pair
    action = await call.collect(digits={"max": 1}, continuous=True, control_id="c")
    for digit in "12":
        await collected(
            party, "c", result={"type": "digit", "params": {"digits": digit}}, final=True, state="collecting"
        )
    await client.execute("signalwire.ping", {})
    assert not action.is_done
    await action.stop()
    assert (await action.wait(2)).params["result"] == {"type": "finished"}


async def test_a_prompt_ends_on_its_input_not_on_its_playback(
    client: RelayClient, pair: tuple[Call, ScriptedCall]
) -> None:
    call, party = pair
    action = await call.play_and_collect([TTS], {"digits": {"max": 1}})
    await party.send("calling.call.play", {"control_id": action.control_id, "state": "finished"})
    await client.execute("signalwire.ping", {})
    assert not action.is_done
    await party.press("5", terminator="#")
    event = await action.wait(2)
    assert isinstance(event, CollectEvent)
    assert (event.digits, event.terminator) == ("5", "#")


async def test_a_recording_without_input_ends(pair: tuple[Call, ScriptedCall]) -> None:
    call, party = pair
    action = await call.record()
    await party.finish(action.control_id, "no_input")
    assert (await action.wait(2)).params["state"] == "no_input"


async def test_handlers_run_in_the_order_registered_and_on_returns_what_removes_them(
    client: RelayClient, pair: tuple[Call, ScriptedCall], caplog: pytest.LogCaptureFixture
) -> None:
    call, party = pair
    seen: list[str] = []

    async def slow(event: RelayEvent) -> None:
        seen.append("b" + event.params["n"])

    def broken(event: RelayEvent) -> None:
        raise LookupError("broken handler")

    call.on("custom", lambda event: seen.append("a" + event.params["n"]))
    call.on("custom", broken)
    remove = call.on("custom", slow)
    call.on("custom", lambda event: seen.append("c" + event.params["n"]))
    await party.send("custom", {"n": "1"})
    await client.execute("signalwire.ping", {})
    assert seen == ["a1", "b1", "c1"]
    remove()
    remove()
    await party.send("custom", {"n": "2"})
    await client.execute("signalwire.ping", {})
    assert seen[3:] == ["a2", "c2"]
    assert "broken handler" in caplog.text


async def test_wait_for_sees_later_events_that_the_predicate_takes(
    client: RelayClient, pair: tuple[Call, ScriptedCall]
) -> None:
    call, party = pair
    await party.send("custom", {"n": 1})
    await client.execute("signalwire.ping", {})
    waiting = asyncio.create_task(call.wait_for("custom", lambda event: bool(event.params["n"] > 2)))
    await asyncio.sleep(0)
    for number in (2, 3, 4):
        await party.send("custom", {"n": number})
    assert (await waiting).params["n"] == 3
    with pytest.raises(TimeoutError):
        await call.wait_for("custom", timeout=0.01)


async def test_waiting_for_a_state_already_reached_returns_at_once(pair: tuple[Call, ScriptedCall]) -> None:
    call, party = pair
    await call.answer()
    assert (await call.wait_for_answered(2)).params["call_state"] == "answered"
    assert (await call.wait_for_ringing(0.01)).params["call_state"] == "answered"
    await party.hangup()
    await call.wait_for_ended(2)
    assert (await call.wait_for_answered(0.01)).params["call_state"] == "answered"
    assert (await call.wait_for_ending(0.01)).params["call_state"] == "ending"


async def test_a_wait_for_what_never_comes_ends_with_the_call(pair: tuple[Call, ScriptedCall]) -> None:
    call, party = pair
    waiting = asyncio.create_task(call.wait_for("custom"))
    answered = asyncio.create_task(call.wait_for_answered())
    await asyncio.sleep(0)
    await party.hangup()
    assert (await waiting).cause == "ended"
    assert (await answered).params["call_state"] in ("ending", "ended")


async def test_a_keyword_nobody_knows_is_sent_with_a_warning_that_names_the_nearest(
    node: ScriptedNode, pair: tuple[Call, ScriptedCall]
) -> None:
    call, _ = pair
    with pytest.warns(UserWarning, match=r"calling\.play has no parameter 'volum'.*Did you mean 'volume'\?"):
        await call.play([TTS], volum=3)
    assert (await node.until("calling.play"))["volum"] == 3


@pytest.mark.parametrize(
    "ask",
    [
        lambda client, call: call.play([TTS], volum=3),
        lambda client, call: call.play_tts("Hello", volum=3),
        lambda client, call: client.dial([[PHONE]], volum=3),
    ],
)
async def test_the_warning_shows_the_line_of_the_program_also_of_a_short_form(
    client: RelayClient, pair: tuple[Call, ScriptedCall], ask: Callable[[RelayClient, Call], Awaitable[object]]
) -> None:
    with pytest.warns(UserWarning, match="volum") as caught:
        await ask(client, pair[0])
    assert [one.filename for one in caught] == [__file__]


async def test_a_handler_of_calls_that_is_no_coroutine_function_is_told_what_to_write(
    node: ScriptedNode, client: RelayClient, caplog: pytest.LogCaptureFixture
) -> None:
    def plain(call: Call) -> None:
        """It should be ``async``."""

    client.on_call(plain)  # type: ignore[type-var]
    await node.offer()
    await client.execute("signalwire.ping", {})
    assert "plain is no coroutine function: write `async def`" in caplog.text


async def test_unknown_fields_and_types_of_events_are_kept(
    client: RelayClient, pair: tuple[Call, ScriptedCall]
) -> None:
    call, party = pair
    seen: list[RelayEvent] = []
    call.on("calling.call.record", seen.append)
    call.on("calling.call.telepathy", seen.append)
    await party.send(
        "calling.call.record", {"state": "finished", "record": {"url": "https://u", "duration": 2}, "new": 1}
    )
    await party.send("calling.call.telepathy", {"thought": "?"})
    await client.execute("signalwire.ping", {})
    record, unknown = seen
    assert isinstance(record, RecordEvent)
    assert (record.url, record.duration_s, record.params["new"]) == ("https://u", 2.0, 1)
    assert type(unknown) is RelayEvent
    assert unknown.params["thought"] == "?"
    assert unknown.timestamp > 0


async def test_logs_and_reprs_show_neither_numbers_nor_secrets(
    node: ScriptedNode, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with RelayClient("project", "token", node.host, ["default"]) as client:
            caught: list[Call] = []

            @client.on_call
            async def handle(call: Call) -> None:
                caught.append(call)
                await call.send_digits("98765")

            party = await node.offer(from_number="+15558675309")
            await party.until("calling.send_digits")
    text = caplog.text + repr(client) + repr(caught) + json.dumps([str(record.args) for record in caplog.records])
    assert "8675309" not in text
    assert "98765" not in text
    assert "'token'" not in text


def test_call_states_are_ordered_as_the_reference_says() -> None:
    assert [state.value for state in CallState] == ["created", "ringing", "answered", "ending", "ended"]
