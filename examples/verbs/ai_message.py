"""Tell a running agent something, and put it on hold for a while."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    agent = await call.ai(prompt={"text": "You are a helpful support agent."})
    await call.ai_message(message_text="The customer is a VIP.", role="system")
    await call.ai_hold(timeout="60", prompt="One moment.")
    await call.ai_unhold()
    await agent.stop()
    await call.hangup()


if __name__ == "__main__":
    client.run()
