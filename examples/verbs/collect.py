"""Collect four digits without a prompt."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    action = await call.collect(digits={"max": 4, "terminators": "#"}, start_input_timers=True)
    event = await action.wait(timeout=30)
    print(event.digits or event.result_type)
    await call.hangup()


if __name__ == "__main__":
    client.run()
