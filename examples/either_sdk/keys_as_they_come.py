"""Take keys as they come, one by one and by threes, until told to stop; the events tell of each."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    heard = asyncio.Queue()
    call.on("calling.call.collect", lambda event: heard.put_nowait(event.params))

    async def next_result(what):
        params = await asyncio.wait_for(heard.get(), 90)
        result = params["result"]
        tell(what, params.get("state"), params.get("final"), result["type"], result.get("params", {}).get("digits"))

    await call.answer()
    action = await call.collect(digits={"max": 1}, continuous=True, initial_timeout=60)
    tell("asked")
    for _ in range(3):
        await next_result("key")
    tell("stopped", (await action.stop())["code"])
    for _ in range(2):  # the end, in the words of either dialect
        await next_result("end")
    await call.collect(digits={"max": 3, "digit_timeout": 60}, partial_results=True, initial_timeout=60)
    tell("asked")
    for _ in range(4):
        await next_result("partial")
    await call.hangup()
    await call.wait_for_ended(timeout=60)


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
