"""Stream what the caller says to a WebSocket server."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    stream = await call.stream("wss://example.com/audio", name="caller", codec="PCMU", track="inbound_track")
    async with stream:
        text = await call.play_tts("Say something.")
        await text.wait(timeout=30)
    await call.hangup()


if __name__ == "__main__":
    client.run()
