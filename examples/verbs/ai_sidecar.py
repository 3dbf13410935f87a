"""Have an agent listen and advise."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    await call.ai_sidecar("en-US", prompt="Watch for complaints.")
    asked = await call.ai_sidecar_ask("What does the customer want?")
    print(asked.get("ask_id"))
    await call.ai_sidecar_stop()
    await call.hangup()


if __name__ == "__main__":
    client.run()
