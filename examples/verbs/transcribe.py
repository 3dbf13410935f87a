"""Have the call transcribed; the text is sent to a URL."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    async with await call.transcribe(status_url="https://example.com/transcripts"):
        text = await call.play_tts("This call is transcribed.")
        await text.wait(timeout=30)
    await call.hangup()


if __name__ == "__main__":
    client.run()
