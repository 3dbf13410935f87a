"""Answer, and give the call to another application."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    await call.transfer("context:sales")


if __name__ == "__main__":
    client.run()
