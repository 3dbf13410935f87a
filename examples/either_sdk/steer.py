"""A file again and again, steered by the keys of the party: pause, resume, volume, stop; again when it is over."""

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
    event = await action.wait(timeout=90)
    return event.params["result"]["params"]["digits"]


async def handle(call):
    call.on("calling.call.play", lambda event: tell("play", event.params["state"]))
    await call.answer()
    tone = await call.play([{"type": "audio", "params": {"url": sys.argv[3]}}], loop=0, volume=-2.0)
    keys, codes = [], []
    for steer in (tone.pause, tone.resume, lambda: tone.volume(-14.0), tone.stop):
        keys.append(await key(call))
        result = await steer()
        codes.append(result["code"])
        tell("steered", result["message"], result["control_id"] == tone.control_id)
    event = await tone.wait(timeout=60)
    tell("done", event.params["state"], tone.result is event, *keys, *codes)
    for steer in (tone.pause, tone.resume, lambda: tone.volume(0.0)):
        try:
            await steer()
        except sdk.RelayError as error:
            tell("refused", error.code, error)
    tell("over")
    ended = await call.wait_for_ended(timeout=60)
    tell("ended", ended.params["end_reason"], ended.params["end_source"])


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
