"""Translate what is said, while it is said."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    await call.live_translate(
        {"start": {"from_lang": "en-US", "to_lang": "es", "direction": ["remote-caller", "local-caller"]}}
    )
    await call.live_translate("stop")
    await call.hangup()


if __name__ == "__main__":
    client.run()
