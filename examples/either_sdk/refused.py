"""Calls that nobody takes, each for another reason, and some that can never be."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])


def tell(*words):
    print(*words, flush=True)


def device(to):
    return {"type": "sip", "params": {"to": to, "from": "sip:either@localhost", "timeout": 1}}


async def main():
    async with client:
        tell("ready")
        wrong = [[], [[]], [[{"type": "pigeon", "params": {}}]], [[device("sip:somebody@192.0.2.1")]]]
        for devices in [*wrong, *([[device(to)]] for to in sys.argv[3:])]:
            try:
                await client.dial(devices, tag="t", dial_timeout=60)
            except sdk.RelayError as error:
                tell("refused", error.code, error if error.code > 0 else "")


asyncio.run(main())
