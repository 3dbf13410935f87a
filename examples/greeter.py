"""The smallest useful program: answer, ring once in the caller's ear, hang up."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    ring = await call.play([{"type": "ringtone", "params": {"name": "us", "duration": 0.5}}])
    await ring.wait()
    await call.hangup()


if __name__ == "__main__":
    client.run()
