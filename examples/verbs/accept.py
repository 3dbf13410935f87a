"""Let a caller hear that it rings, then answer."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.accept()
    await call.answer()
    await call.hangup()


if __name__ == "__main__":
    client.run()
