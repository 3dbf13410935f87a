"""Wait in a queue, two minutes at most, and leave it."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    await call.queue_enter("support", wait_time=120)
    await call.queue_leave("support")
    await call.hangup()


if __name__ == "__main__":
    client.run()
