"""What is wrong in a program is a type error before it is a 400.

Checked, not run, by ``make types``: mypy and pyright must both refuse each line that says so, and no other.
"""

from __future__ import annotations

from offhook import (
    Call,
    CollectEvent,
    Device,
    Media,
    PlayAction,
    PlayEvent,
    RecordEvent,
    RelayClient,
    RelayEvent,
    Tap,
    TapDevice,
)

BOTH: Tap = {"type": "audio", "params": {"direction": "both"}}
WEBSOCKET: TapDevice = {"type": "ws", "params": {"uri": "wss://example.com"}}


async def misspelt_keys_of_media(call: Call) -> None:
    await call.play([{"type": "tts", "params": {"txt": "hello"}}])  # refused
    await call.play([{"type": "tts", "params": {"text": "hello", "languge": "en-US"}}])  # refused
    await call.play([{"type": "music", "params": {}}])  # refused
    await call.play([{"type": "audio", "params": {"uri": "https://example.com/a.wav"}}])  # refused
    await call.play([{"type": "silence", "params": {"seconds": 2}}])  # refused
    await call.play([{"type": "ringtone", "params": {"country": "us"}}])  # refused
    await call.play([{"type": "silence"}])  # refused
    await call.play_and_collect([{"type": "tts", "param": {"text": "hello"}}], {"digits": {"max": 1}})  # refused


async def misspelt_keys_of_devices(call: Call, client: RelayClient) -> None:
    await client.dial([[{"type": "phone", "params": {"to": "+15550000001"}}]])  # refused
    await client.dial([[{"type": "sip", "params": {"to": "sip:a@example.com", "timout": 20}}]])  # refused
    await client.dial([[{"type": "call", "params": {"node_id": "n", "call_id": "c"}}]])  # refused
    await call.connect([[{"type": "phone", "params": {"to": "+15550000001"}}]])  # refused
    await call.connect([[{"type": "queue", "params": {"node_id": "n", "name": "support"}}]])  # refused
    await call.connect([[{"type": "stream", "params": {"uri": "wss://example.com"}}]])  # refused
    await call.refer({"type": "sip", "params": {"uri": "sip:a@example.com"}})  # refused
    await call.tap({"type": "audio", "params": {"directon": "both"}}, WEBSOCKET)  # refused
    await call.tap(BOTH, {"type": "ws", "params": {"url": "wss://example.com"}})  # refused
    await call.tap(BOTH, {"type": "rtp", "params": {"addr": "192.0.2.1", "port": "5000"}})  # refused


async def misspelt_keys_of_input(call: Call) -> None:
    await call.record(audio={"formt": "wav"})  # refused
    await call.collect(digits={"mx": 1})  # refused
    await call.collect(digits={"max": 1, "terminator": "#"})  # refused
    await call.collect(speech={"lang": "en-US"})  # refused
    await call.play_and_collect([], {"digit": {"max": 1}})  # refused
    await call.play_and_collect([], {"digits": {"max": 1, "timeout": 5}})  # refused
    await call.prompt_tts("hello", {"speach": {}})  # refused
    await call.detect({"type": "machin"})  # refused
    await call.detect({"type": "machine", "params": {"tone": "CED"}})  # refused
    await call.detect({"type": "fax", "params": {"tones": "CED"}})  # refused
    await call.detect({"type": "digit", "params": {"digit": "1"}})  # refused


async def misspelt_keys_of_the_rest(call: Call) -> None:
    await call.pay("https://x.example", prompts=[{"for": "card"}])  # refused
    await call.pay("https://x.example", parameters=[{"name": "order", "val": 1}])  # refused
    await call.ai(prompt={"txt": "hello"})  # refused
    await call.ai(SWAIG={"function": []})  # refused
    await call.live_transcribe({"begin": {"lang": "en-US"}})  # refused
    await call.live_translate({"start": {"from": "en-US"}})  # refused


async def wrong_units(call: Call, client: RelayClient) -> None:
    await call.play([{"type": "silence", "params": {"duration": "2s"}}])  # refused
    await call.play_silence("2s")  # refused
    await call.play_tts("hello", volume="loud")  # refused
    await call.play_tts("hello", loop=1.5)  # refused
    await call.collect(digits={"max": "4"})  # refused
    await call.collect(digits={"max": 4, "digit_timeout": "5s"})  # refused
    await call.collect(initial_timeout="4s")  # refused
    await call.detect({"type": "machine"}, timeout="30s")  # refused
    await call.detect_answering_machine(machine_words_threshold=6.5)  # refused
    await call.record(audio={"max_length": "60s"})  # refused
    await call.echo(timeout="30s")  # refused
    await call.connect([[{"type": "sip", "params": {"to": "sip:a@example.com", "timeout": "20s"}}]])  # refused
    await client.dial([[{"type": "phone", "params": {"to_number": "+1"}}]], max_duration="1h")  # refused
    await client.dial([{"type": "phone", "params": {"to_number": "+1"}}])  # refused
    action = await call.play_tts("hello")
    await action.wait(timeout="30s")  # refused
    await action.volume("loud")  # refused


async def words_that_are_none(call: Call) -> None:
    await call.play_tts("hello", gender="robot")  # refused
    await call.play_tts("hello", direction="up")  # refused
    await call.record(audio={"format": "flac"})  # refused
    await call.hangup(reason=1)  # refused
    await call.hangup(reason="bored")  # refused
    await call.answer(codecs=["MP3"])  # refused
    await call.join_conference("c", beep="sometimes")  # refused
    await call.stream("wss://example.com", track="left")  # refused
    await call.detect_fax(tone="CEG")  # refused


async def commands_that_an_action_has_not(call: Call) -> None:
    tap = await call.tap(BOTH, WEBSOCKET)
    await tap.pause()  # refused
    detector = await call.detect_fax()
    await detector.volume(1)  # refused
    await call.play_tts("hello").wait()  # refused


def told_of_a_recording(event: RecordEvent) -> None:
    print(event.url)


def told_of_anything(event: RelayEvent) -> None:
    print(event.params)


def not_async(call: Call) -> None:
    print(call.call_id)


async def handlers_of_other_events(call: Call) -> None:
    await call.play_tts("hello", on_completed=told_of_a_recording)  # refused
    await call.play_tts("hello", on_completed=told_of_anything)
    await call.play_tts("hello", on_completed=lambda event: print(event.url))  # refused
    call.on("calling.call.play", told_of_a_recording)  # refused
    call.on("calling.call.play", told_of_anything)
    call.on("calling.call.record", told_of_a_recording)
    call.on("calling.call.dial", told_of_a_recording)  # refused
    await call.wait_for("calling.call.play", lambda event: event.digits == "1")  # refused


def handlers_of_other_events_of_the_client(client: RelayClient) -> None:
    client.on("queuing.relay.tasks", told_of_a_recording)  # refused
    client.on("queuing.relay.tasks", lambda event: print(event.job))  # refused
    client.on("calling.conference", told_of_a_recording)  # refused
    client.on("calling.call.record", told_of_a_recording)
    client.on("calling.call.telepathy", told_of_a_recording)  # refused
    client.on("queuing.relay.tasks", told_of_anything)


async def handlers_that_nobody_awaits(call: Call, client: RelayClient) -> None:
    client.on_call(not_async)  # refused
    client.on_message(handlers_of_other_events)  # refused
    call.play_tts("hello").stop()  # refused
    call.hangup()  # refused


async def events_without_that(call: Call) -> None:
    action = await call.play_tts("hello")
    event = await action.wait()
    print(event.digits)  # refused
    print(action.result.state)  # refused
    other: CollectEvent = await action.wait()  # refused
    print(other)


def kept_for_later(text: str) -> tuple[list[Media], Device, list[PlayAction]]:
    media: list[Media] = [{"type": "tts", "params": {"txt": text}}]  # refused
    device: Device = {"type": "phone", "params": {"from_number": "+15550000001"}}  # refused
    actions: list[PlayAction] = [PlayEvent("calling.call.play", {})]  # refused
    return media, device, actions
