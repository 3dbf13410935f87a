"""Take one call and hang it up."""

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
    tell("taken")
    action = await call.play_ringtone("us", duration=0.5)
    await action.wait(timeout=60)
    await call.hangup()
    await call.wait_for_ended(timeout=60)


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
