"""Tell all applications on the call's context that an order was placed."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    await call.user_event(event={"topic": "order_placed", "order_id": "12345"})
    await call.hangup()


if __name__ == "__main__":
    client.run()
