"""Several calls at once; one handler fails, and the others do not notice."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
over = asyncio.Event()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    name = call.device["params"]["to"].partition("-of-")[2].partition("@")[0]
    await call.answer()
    tell(name, "answered")
    if name == "unlucky":
        raise ZeroDivisionError
    action = await call.collect(digits={"max": 3}, initial_timeout=60, start_input_timers=True)
    tell(name, "asked")
    event = await action.wait(timeout=90)
    tell(name, event.params["result"]["params"]["digits"])
    await call.hangup()
    ended = await call.wait_for_ended(timeout=60)
    tell(name, ended.params["end_reason"])
    over.set() if name == "last" else None


async def main():
    client.on_call(handle)
    async with client:
        tell("ready")
        await over.wait()


asyncio.run(main())
