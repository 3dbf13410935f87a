"""Read along while somebody speaks."""

from offhook import Call, RelayClient, TranscriptUtteranceEvent

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()

    def read(event: TranscriptUtteranceEvent) -> None:
        print(event.role, event.text)

    call.on("calling.ai.transcribe.utterance", read)
    await call.live_transcribe({"start": {"lang": "en-US", "direction": ["remote-caller"]}})
    await call.live_transcribe("stop")
    await call.hangup()


if __name__ == "__main__":
    client.run()
