"""The program of the long benchmark: each call is recorded, both sides, and hears a ringtone until it ends."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    await call.record({"format": "wav", "stereo": True, "direction": "both"})
    await call.play([{"type": "ringtone", "params": {"name": "us"}}], loop=0)
    await call.wait_for_ended()


if __name__ == "__main__":
    client.run()
