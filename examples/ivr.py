"""An IVR: greets, asks for a digit, says which one came, and records both sides."""

from offhook import Call, RelayClient

MENU = "Welcome to offhook. Press one to hear what you pressed."
client = RelayClient(contexts=["default"])


@client.on_call
async def ivr(call: Call) -> None:
    await call.answer()
    await call.record({"format": "wav", "stereo": True, "direction": "both"})
    menu = await call.play_and_collect(
        [{"type": "tts", "params": {"text": MENU}}], {"digits": {"max": 1}, "initial_timeout": 10}
    )
    digit = (await menu.wait()).digits or "nothing"
    await (await call.play([{"type": "tts", "params": {"text": f"You pressed {digit}. Goodbye."}}])).wait()
    await call.hangup()


if __name__ == "__main__":
    client.run()
