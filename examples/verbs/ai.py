"""Let an agent talk until it is done."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    agent = await call.ai(
        prompt={"text": "You are a helpful support agent."}, ai_params={"end_of_speech_timeout": 3000}
    )
    await agent.wait(timeout=600)
    await call.hangup()


if __name__ == "__main__":
    client.run()
