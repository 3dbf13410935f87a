"""Send keys to the party, and wait until they are sent."""

import asyncio

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    sent = asyncio.create_task(call.wait_for("calling.call.send_digits", timeout=30))  # before it can come
    await call.send_digits("1w2#")
    await sent
    await call.hangup()


if __name__ == "__main__":
    client.run()
