"""Keys without a prompt: a maximum, a terminator, a pause, timers that start late, stopped, refused."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    asked = {
        "one": lambda: call.collect(digits={"max": 1}),
        "terminated": lambda: call.collect(digits={"max": 9, "terminators": "#", "digit_timeout": 60}),
        "slow": lambda: call.collect(digits={"max": 4, "digit_timeout": 0.3}),
        "nothing": lambda: call.collect(digits={"max": 1}, initial_timeout=0.3, start_input_timers=True),
    }
    await call.answer()
    for what, ask in asked.items():
        action = await ask()
        tell("asked", what)
        event = await action.wait(timeout=90)
        result = event.params["result"]
        heard = result.get("params", {})
        tell("got", what, result["type"], heard.get("digits"), heard.get("terminator"))
    late = await call.collect(digits={"max": 1}, initial_timeout=0.3)
    try:
        await late.wait(timeout=0.6)
    except TimeoutError:
        tell("late", "goes on", late.is_done)
    await late.start_input_timers()
    tell("late", (await late.wait(timeout=60)).params["result"]["type"])
    stopped = await call.collect(digits={"max": 1}, initial_timeout=60)
    await stopped.stop()
    tell("stopped", (await stopped.wait(timeout=60)).params["result"]["type"])
    for wrong in ({}, {"digits": {"max": 0}}, {"digits": {"max": 1}, "initial_timeout": -1}):
        try:
            await call.collect(**wrong)
        except sdk.RelayError as error:
            tell("refused", error.code, error)
    await call.hangup()
    await call.wait_for_ended(timeout=60)


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
