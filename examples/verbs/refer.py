"""Have the caller's phone call somebody else, and hear how that went."""

from offhook import Call, ReferEvent, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()

    def told(event: ReferEvent) -> None:
        print(event.state, event.sip_notify_response_code)

    call.on("calling.call.refer", told)
    await call.refer({"type": "sip", "params": {"to": "sip:bob@example.com"}})
    await call.hangup()


if __name__ == "__main__":
    client.run()
