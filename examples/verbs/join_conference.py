"""Join a conference, and leave it."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    joined = await call.join_conference("standup", muted=False, beep="onEnter", max_participants=20)
    await call.leave_conference(joined["conference_id"])
    await call.hangup()


if __name__ == "__main__":
    client.run()
