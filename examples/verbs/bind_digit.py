"""Play a hint whenever the caller presses star 1."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    hint = {"play": [{"type": "tts", "params": {"text": "You pressed star one."}}]}
    await call.bind_digit("*1", "calling.play", bind_params=hint, max_triggers=3)
    await call.clear_digit_bindings()
    await call.hangup()


if __name__ == "__main__":
    client.run()
