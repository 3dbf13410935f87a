"""Tell people from machines; leave a message after the beep."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    detector = await call.detect_answering_machine(timeout=30)
    event = await detector.wait(timeout=40)
    if event.result == "MACHINE":
        await detector.wait_for_beep(timeout=60)
        message = await call.play_tts("Please call back.")
        await message.wait(timeout=60)
    await call.hangup()


if __name__ == "__main__":
    client.run()
