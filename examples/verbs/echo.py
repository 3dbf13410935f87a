"""Let callers hear themselves."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    await call.echo(timeout=10.0)
    await call.hangup()


if __name__ == "__main__":
    client.run()
