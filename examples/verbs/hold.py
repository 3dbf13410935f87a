"""Put the caller on hold, where the service has that."""

from offhook import Call, RelayClient, RelayError

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    try:
        await call.hold()
        await call.unhold()
    except RelayError as error:
        print("no hold here:", error)
    await call.hangup()


if __name__ == "__main__":
    client.run()
