"""Send keys to the party, and wait until they are sent."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    await call.send_digits("1w2#", control_id="extension")
    await call.hangup()


if __name__ == "__main__":
    client.run()
