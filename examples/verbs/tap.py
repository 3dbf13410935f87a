"""Send a copy of the call's audio to an RTP receiver while a text plays."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    tap = await call.tap(
        {"type": "audio", "params": {"direction": "both"}},
        {"type": "rtp", "params": {"addr": "192.0.2.10", "port": 5000, "codec": "PCMU"}},
    )
    async with tap:
        text = await call.play_tts("This is overheard.")
        await text.wait(timeout=30)
    await call.hangup()


if __name__ == "__main__":
    client.run()
