"""Receive a fax."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    action = await call.receive_fax()
    event = await action.wait(timeout=600)
    print(event.document, event.pages)
    await call.hangup()


if __name__ == "__main__":
    client.run()
