"""Press keys in the party's ear, wait until they were sent, and press what no telephone has."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def press(call, digits):
    sent = asyncio.create_task(call.wait_for("calling.call.send_digits", timeout=60))
    result = await call.send_digits(digits)
    event = await sent
    tell("sent", result["code"], event.params["state"], event.params["control_id"] == result["control_id"])


async def handle(call):
    await call.answer()
    await press(call, "12w#")
    await press(call, "AD*0")
    for wrong in ("12x", ""):
        try:
            await call.send_digits(wrong)
        except sdk.RelayError as error:
            tell("refused", error.code, error)
    await call.hangup(reason="hangup")
    ended = await call.wait_for_ended(timeout=60)
    tell("ended", ended.params["end_reason"], ended.params["end_source"])


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
