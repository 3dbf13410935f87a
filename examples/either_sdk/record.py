"""Record both sides, pause, go on, stop, and tell where the recording is."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def key(call):
    """Wait for the party to press one."""
    action = await call.collect(digits={"max": 1}, initial_timeout=60, start_input_timers=True)
    tell("press")
    await action.wait(timeout=90)


async def handle(call):
    call.on("calling.call.record", lambda event: tell("record", event.params["state"]))
    await call.answer()
    recording = await call.record(audio={"format": "wav", "stereo": True, "direction": "both"})
    for steer in (lambda: recording.pause("silence"), recording.resume, recording.pause, recording.stop):
        await key(call)
        result = await steer()
        tell("steered", result["code"], result["message"])
    event = await recording.wait(timeout=60)
    audio = event.params["record"]["audio"]
    tell("done", event.params["state"], audio["format"], audio["direction"], audio["stereo"], event.params["size"] > 0)
    tell("made", event.params["url"], event.params["duration"])
    mono = await call.record(audio={"terminators": "9", "direction": "speak"})
    tell("mono")
    event = await mono.wait(timeout=60)
    tell("done", event.params["state"], event.params["record"]["audio"]["direction"])
    await call.hangup()
    await call.wait_for_ended(timeout=60)


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
