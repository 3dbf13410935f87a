"""Join a room, and leave it."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    await call.join_room("lobby")
    await call.leave_room()
    await call.hangup()


if __name__ == "__main__":
    client.run()
