"""Send a message; a node without a carrier for messages says so."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])


def tell(*words):
    print(*words, flush=True)


async def main():
    async with client:
        tell("ready")
        for what in (
            {"body": "hi"},
            {"media": ["https://x.example/p"]},
            {"body": "hi", "context": "sms", "tags": ["a"]},
        ):
            try:
                message = await client.send_message(from_number="+15550000001", to_number="+15550000002", **what)
                tell("sent", message.state)
            except sdk.RelayError as error:
                tell("refused", error.code, error)


asyncio.run(main())
