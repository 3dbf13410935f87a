"""What ends by itself: a recording that is long enough, one in which nobody speaks, and in the end the call."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    await call.answer()
    for audio in (
        {"max_length": 0.5},
        {"initial_timeout": 0.5},
        {"beep": True, "max_length": 0.5, "direction": "both"},
    ):
        recording = await call.record(audio=audio)
        event = await recording.wait(timeout=60)
        tell("recorded", event.params["state"], event.params["duration"] <= 2)
    for wrong in (call.answer, call.pass_):
        try:
            tell("taken", await wrong())
        except sdk.RelayError as error:
            tell("refused", error.code, error)
    await call.hangup()
    await call.wait_for_ended(timeout=60)
    call = await calls.get()
    await call.answer(max_duration=1)
    ended = await call.wait_for_ended(timeout=60)
    tell("ended", ended.params["end_reason"], ended.params["end_source"])


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
