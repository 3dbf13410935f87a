"""Let the caller hear ringing, think, then answer: by the method's name, which needs no method of the SDK."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    async def accept(**params):
        address = {"node_id": call.node_id, "call_id": call.call_id}
        try:
            result = await client.execute("calling.accept", {**address, **params})
        except sdk.RelayError as error:
            tell("refused", error.code, error)
        else:
            tell("accepted", result["code"], result["message"])

    await accept(early_media=True)
    await accept()
    ringing = await call.wait_for_ringing(timeout=60)
    tell("ringing", ringing.params["call_state"], call.state)
    await accept()
    await call.answer()
    await call.wait_for_answered(timeout=60)
    await accept()
    await call.hangup()
    ended = await call.wait_for_ended(timeout=60)
    tell("ended", ended.params["end_reason"])


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
