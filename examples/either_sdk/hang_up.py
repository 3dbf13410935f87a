"""Hang up before the answer, with every reason there is, and one that there is not."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    for reason in sys.argv[3:]:
        try:
            result = await call.hangup(reason=reason)
        except sdk.RelayError as error:
            tell("refused", error.code, error)
            continue
        tell("asked", result["code"])
        ended = await call.wait_for_ended(timeout=60)
        tell("ended", ended.params["end_reason"], ended.params["end_source"])
        call = await calls.get()
    await call.hangup()
    await call.wait_for_ended(timeout=60)


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
