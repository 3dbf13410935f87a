"""What an editor knows: the type of what each method gives. Checked, not run, by ``make types``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

from offhook import (
    Action,
    AIAction,
    AiEvent,
    AiSessionEvent,
    AiStopEvent,
    Call,
    CallStateEvent,
    CollectAction,
    CollectEvent,
    ConferenceEvent,
    ConnectEvent,
    DetectAction,
    DetectEvent,
    FaxAction,
    FaxEvent,
    Message,
    MessageStateEvent,
    PayAction,
    PayEvent,
    PlayAction,
    PlayEvent,
    RecordAction,
    RecordEvent,
    RelayClient,
    RelayEvent,
    SendDigitsEvent,
    StandaloneCollectAction,
    StreamAction,
    StreamEvent,
    TapAction,
    TapEvent,
    TaskEvent,
    TranscribeAction,
    TranscribeEvent,
    TranscriptUtteranceEvent,
)


async def playback(call: Call) -> None:
    action = assert_type(await call.play([{"type": "tts", "params": {"text": "hello"}}]), PlayAction)
    assert_type(await call.play_tts("hello"), PlayAction)
    assert_type(await call.play_audio("https://example.com/a.wav"), PlayAction)
    assert_type(await call.play_silence(1), PlayAction)
    assert_type(await call.play_ringtone("us"), PlayAction)
    event = assert_type(await action.wait(timeout=30), PlayEvent)
    assert_type(event.state, str)
    assert_type(event.cause, str | None)
    assert_type(event.params, dict[str, Any])
    assert_type(event.timestamp, float)
    assert_type(action.result, PlayEvent | None)
    assert_type(action.is_done, bool)
    assert_type(await action.stop(), dict[str, Any])
    assert_type(await action.volume(-3), dict[str, Any])
    assert_type(action.call.call_id, str)
    async with await call.play_tts("hello") as entered:
        assert_type(entered, PlayAction)


async def recording(call: Call) -> None:
    action = assert_type(await call.record(), RecordAction)
    event = assert_type(await action.wait(), RecordEvent)
    assert_type(event.url, str)
    assert_type(event.duration_s, float)
    assert_type(action.result, RecordEvent | None)


async def collecting(call: Call) -> None:
    action = assert_type(await call.collect(digits={"max": 1}), StandaloneCollectAction)
    event = assert_type(await action.wait(), CollectEvent)
    assert_type(event.digits, str)
    assert_type(event.confidence, float)
    prompt = assert_type(await call.play_and_collect([], {"digits": {"max": 1}}), CollectAction)
    assert_type(await call.prompt_tts("hello", {}), CollectAction)
    assert_type(await call.prompt_audio("https://example.com/a.wav", {}), CollectAction)
    assert_type(await prompt.wait(), CollectEvent)
    assert_type(prompt.result, CollectEvent | None)


async def detecting(call: Call) -> None:
    action = assert_type(await call.detect({"type": "machine"}), DetectAction)
    assert_type(await call.detect_answering_machine(), DetectAction)
    assert_type(await call.detect_fax(), DetectAction)
    assert_type(await call.detect_digit(), DetectAction)
    event = assert_type(await action.wait(), DetectEvent)
    assert_type(event.result, str)
    assert_type(await action.wait_for_ready(), DetectEvent)
    assert_type((await action.wait_for_beep()).beep, bool)


async def the_other_actions(call: Call) -> None:
    fax = assert_type(await call.send_fax("https://example.com/a.pdf"), FaxAction)
    assert_type(await call.receive_fax(), FaxAction)
    assert_type((await fax.wait()).pages, int)
    assert_type(fax.result, FaxEvent | None)
    tap = await call.tap(
        {"type": "audio", "params": {"direction": "both"}}, {"type": "ws", "params": {"uri": "wss://a"}}
    )
    assert_type(tap, TapAction)
    assert_type(await tap.wait(), TapEvent)
    stream = assert_type(await call.stream("wss://example.com"), StreamAction)
    assert_type(await stream.wait(), StreamEvent)
    transcription = assert_type(await call.transcribe(), TranscribeAction)
    assert_type(await transcription.wait(), TranscribeEvent)
    payment = assert_type(await call.pay("https://pay.example.com"), PayAction)
    assert_type(await payment.wait(), PayEvent)
    agent = assert_type(await call.ai(prompt={"text": "hello"}), AIAction)
    assert_type(await agent.wait(), AiEvent | AiStopEvent)
    assert_type((await agent.wait()).state, str)


async def results(call: Call, client: RelayClient) -> None:
    assert_type(await call.answer(), dict[str, Any])
    assert_type(await call.connect([[]]), dict[str, Any])
    assert_type(await call.hangup(), dict[str, Any])
    assert_type(await client.dial([[{"type": "phone", "params": {"to_number": "+15550000001"}}]]), Call)
    assert_type(client.calls, list[Call])
    assert_type(call.peer_call, Call | None)
    assert_type(call.call_id, str)
    assert_type(call.state, str)
    assert_type(call.device, dict[str, Any])


async def messages(client: RelayClient) -> None:
    message = assert_type(await client.send_message(to_number="+1", from_number="+2", body="hello"), Message)
    assert_type(await message.wait(), MessageStateEvent)
    assert_type(message.result, MessageStateEvent | None)
    assert_type(message.state, str)
    assert_type(message.media, list[str])


async def waits(call: Call, name: str) -> None:
    assert_type(await call.wait_for("calling.call.play"), PlayEvent)
    assert_type(await call.wait_for("calling.call.play", lambda event: event.state == "paused", 5), PlayEvent)
    assert_type(await call.wait_for("calling.call.connect", timeout=5), ConnectEvent)
    assert_type(await call.wait_for("calling.call.send_digits"), SendDigitsEvent)
    assert_type(await call.wait_for("calling.ai.start"), AiSessionEvent)
    assert_type(await call.wait_for("calling.ai.transcribe.utterance"), TranscriptUtteranceEvent)
    assert_type(await call.wait_for("calling.call.telepathy"), RelayEvent)
    assert_type(await call.wait_for(name), RelayEvent)
    assert_type(await call.wait_for_ended(), CallStateEvent)
    assert_type(await call.wait_for_answered(timeout=30), CallStateEvent)


async def told(event: PlayEvent) -> None:
    assert_type(event.state, str)


def told_at_once(event: RelayEvent) -> None:
    assert_type(event.event_type, str)


async def handlers(call: Call, name: str) -> None:
    assert_type(call.on("calling.call.play", told), Callable[[], None])
    call.on("calling.call.play", told_at_once)
    call.on("calling.call.record", lambda event: event.url)  # mypy takes a lambda's event for Any here
    call.on("calling.call.state", lambda event: event.end_reason)
    call.on("calling.call.telepathy", lambda event: event.params)
    call.on(name, told_at_once)
    await call.play_tts("hello", on_completed=told)
    await call.play_tts("hello", on_completed=told_at_once)
    await call.play_tts("hello", on_completed=lambda event: assert_type(event, PlayEvent).state)
    await call.record(on_completed=lambda event: assert_type(event, RecordEvent).url)
    await call.collect(on_completed=lambda event: assert_type(event, CollectEvent).digits)
    await call.ai(on_completed=lambda event: assert_type(event, AiEvent | AiStopEvent).params)


def told_of_a_task(event: TaskEvent) -> None:
    assert_type(event.params["job"], Any)


def told_of_a_conference(event: ConferenceEvent) -> None:
    assert_type(event.status, str)


def handlers_of_a_client(client: RelayClient, name: str) -> None:
    assert_type(client.on("queuing.relay.tasks", told_of_a_task), Callable[[], None])
    client.on("queuing.relay.tasks", told_at_once)
    client.on("calling.conference", told_of_a_conference)
    client.on("calling.user_event", lambda event: event.topic)
    client.on("calling.call.play", told)
    client.on("messaging.state", lambda event: event.message_state)
    client.on("calling.call.dial", lambda event: event.dial_state)
    client.on("calling.call.telepathy", lambda event: event.params)
    client.on(name, told_at_once)


async def stop(action: Action) -> None:
    assert_type(await action.wait(), RelayEvent)
    await action.stop()


async def whatever_it_is(call: Call) -> None:
    actions: list[Action] = [await call.play_tts("hello"), await call.record()]
    for action in actions:
        await stop(action)
    await stop(await call.collect(digits={"max": 1}))
