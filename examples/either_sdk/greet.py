"""Answer; speech, a file, silence and ringing, each by its own method and then in one list; hang up."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    tell("call", call.direction, call.state)
    await call.answer()
    await call.wait_for_answered(timeout=60)
    tell("call", call.direction, call.state)
    everything = [
        {"type": "tts", "params": {"text": "And now all of it."}},
        {"type": "audio", "params": {"url": sys.argv[3]}},
        {"type": "silence", "params": {"duration": 0.2}},
        {"type": "ringtone", "params": {"name": "us", "duration": 0.5}},
    ]
    asked = {
        "tts": lambda: call.play_tts("Hello from a program.", language="en-US", gender="female"),
        "audio": lambda: call.play_audio(sys.argv[3], volume=-3.0),
        "silence": lambda: call.play_silence(0.2),
        "ringtone": lambda: call.play_ringtone("us", duration=0.5),
        "all": lambda: call.play(everything, loop=2),
        "nothing": lambda: call.play_audio(sys.argv[3] + "-that-is-not-there"),
    }
    for what, ask in asked.items():
        action = await ask()
        event = await action.wait(timeout=60)
        tell("played", what, event.event_type, event.params["state"], action.is_done, action.completed)
    await call.hangup()
    ended = await call.wait_for_ended(timeout=60)
    tell("ended", ended.params["end_reason"], call.state)


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
