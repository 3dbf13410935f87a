"""Ask for a key and say what it was."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    menu = await call.prompt_tts("Press 1 for sales, 2 for support.", {"digits": {"max": 1, "digit_timeout": 5.0}})
    event = await menu.wait(timeout=30)
    print(event.result_type, event.digits)
    await call.hangup()


if __name__ == "__main__":
    client.run()
