"""Take the noise out of what the caller says."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    await call.denoise()
    await call.denoise_stop()
    await call.hangup()


if __name__ == "__main__":
    client.run()
