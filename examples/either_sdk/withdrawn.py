"""The party gives up before it is answered."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    tell("offered", call.direction, call.state)
    ended = await call.wait_for_ended(timeout=60)
    tell("ended", ended.params["end_reason"], ended.params["end_source"], call.state)
    tell("nothing", await call.answer())


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
