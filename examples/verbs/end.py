"""Turn every caller away: busy."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.hangup("busy")
    ended = await call.wait_for_ended(timeout=10)
    print(ended.params.get("end_reason"))


if __name__ == "__main__":
    client.run()
