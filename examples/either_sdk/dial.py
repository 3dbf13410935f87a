"""Call somebody; who is busy is left out, and of two that ring at once the first to answer is taken."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])


def tell(*words):
    print(*words, flush=True)


def device(to):
    return {"type": "sip", "params": {"to": to, "from": "sip:either@localhost", "timeout": 60}}


async def main():
    busy, slow, quick = map(device, sys.argv[3:6])
    async with client:
        tell("ready")
        call = await client.dial([[busy], [slow, quick]], tag="of-the-program", dial_timeout=90)
        tell("answered", call.state, call.direction, call.tag, call.device["params"]["to"] == sys.argv[5])
        event = await call.wait_for_answered(timeout=10)
        tell("answered", event.params["call_state"])
        action = await call.play_tts("Hello, this is a program.")
        tell("played", (await action.wait(timeout=60)).params["state"])
        sent = asyncio.create_task(call.wait_for("calling.call.send_digits", timeout=60))
        await call.send_digits("42")
        tell("sent", (await sent).params["state"])
        ended = await call.wait_for_ended(timeout=60)
        tell("ended", ended.params["end_reason"], ended.params["end_source"], call.state)


asyncio.run(main())
