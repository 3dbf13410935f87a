"""Answer, and end every call after an hour."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer(max_duration=3600)
    await call.hangup()


if __name__ == "__main__":
    client.run()
