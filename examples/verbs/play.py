"""Play text, silence and a ringing tone, quieter, and wait until it is over."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    action = await call.play(
        [
            {"type": "tts", "params": {"text": "Hello!"}},
            {"type": "silence", "params": {"duration": 0.5}},
            {"type": "ringtone", "params": {"name": "us", "duration": 1}},
        ],
        volume=-6,
    )
    await action.wait(timeout=30)
    await call.hangup()


if __name__ == "__main__":
    client.run()
