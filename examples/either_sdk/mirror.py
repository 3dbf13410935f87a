"""The party hears itself until it hangs up."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    call.on("calling.call.echo", lambda event: tell("echo", event.params["state"]))
    await call.answer()
    result = await call.echo(timeout=60)
    tell("asked", result["code"], result["message"])
    ended = await call.wait_for_ended(timeout=90)
    tell("ended", ended.params["end_reason"], ended.params["end_source"], call.state)


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
