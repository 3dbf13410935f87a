"""The party leaves in the middle of everything: every action ends, every callback is called."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    called = asyncio.Event()

    async def later(event):
        await asyncio.sleep(0)
        tell("completed", "record", event.params["state"], bool(event.params["url"]))
        called.set()

    def fails(_):
        raise ZeroDivisionError

    await call.answer()
    music = [{"type": "ringtone", "params": {"name": "us"}}]
    playing = await call.play(
        music, on_completed=lambda event: tell("completed", "play", event.params["state"]), control_id="music"
    )
    broken = await call.play([{"type": "silence", "params": {"duration": 60}}], on_completed=fails)
    recording = await call.record(on_completed=later)
    asking = await call.play_and_collect(music, {"digits": {"max": 1}, "initial_timeout": 60})
    tell("everything", playing.control_id)
    for what, action in {"play": playing, "broken": broken, "record": recording, "ask": asking}.items():
        event = await action.wait(timeout=60)
        tell("over", what, event.params.get("state"), event.params.get("result", {}).get("type"))
    await called.wait()
    ended = await call.wait_for_ended(timeout=60)
    tell("ended", ended.params["end_reason"], ended.params["end_source"], call.state)


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
