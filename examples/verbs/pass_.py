"""Leave a call to the next application."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.pass_()


if __name__ == "__main__":
    client.run()
