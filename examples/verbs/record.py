"""Record both sides in stereo until two seconds of silence; nobody need speak for more than five."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    action = await call.record(
        audio={"format": "wav", "stereo": True, "direction": "both", "initial_timeout": 5.0, "end_silence_timeout": 2.0}
    )
    event = await action.wait(timeout=60)
    print(event.url, event.duration_s)
    await call.hangup()


if __name__ == "__main__":
    client.run()
