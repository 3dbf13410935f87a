"""Prompts and the keys that answer them: a maximum, a terminator, a pause, nothing, too few, stopped."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    silence = [{"type": "silence", "params": {"duration": 0.1}}]
    long = "This prompt is long, so that there is time to press a key while it is being said. " * 3
    patient = {"digits": {"max": 1}, "initial_timeout": 60}
    asked = {
        "interrupted": lambda: call.prompt_tts(long, patient),
        "terminated": lambda: call.prompt_audio(
            sys.argv[3], {**patient, "digits": {"max": 9, "terminators": "#*", "digit_timeout": 60}}
        ),
        "slow": lambda: call.play_and_collect(silence, {**patient, "digits": {"max": 4, "digit_timeout": 0.3}}),
        "few": lambda: call.play_and_collect(
            silence, {**patient, "digits": {"max": 4, "min": 2, "digit_timeout": 0.3}}
        ),
        "nothing": lambda: call.play_and_collect(silence, {"digits": {"max": 1}, "initial_timeout": 0.3}),
    }
    await call.answer()
    for what, ask in asked.items():
        action = await ask()
        tell("asked", what)
        event = await action.wait(timeout=90)
        result = event.params["result"]
        heard = result.get("params", {})
        tell("got", what, event.event_type, result["type"], heard.get("digits"), heard.get("terminator"))
    action = await call.play_and_collect([{"type": "ringtone", "params": {"name": "us"}}], patient, volume=-3.0)
    louder = await action.volume(2.0)
    stopped = await action.stop()
    event = await action.wait(timeout=60)
    tell("stopped", louder["code"], stopped["code"], event.params["result"]["type"])
    await call.hangup()
    await call.wait_for_ended(timeout=60)


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
