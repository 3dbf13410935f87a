"""One call at a time: a second one is not for this program."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]], max_active_calls=1)
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    await call.answer()
    tell("taken")
    ended = await call.wait_for_ended(timeout=120)
    tell("ended", ended.params["end_reason"], calls.qsize())


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
