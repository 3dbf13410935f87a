"""Collect a payment by keys."""

from offhook import Call, RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    action = await call.pay(
        "https://pay.example.com/charge", charge_amount=25.99, currency="usd", postal_code=False, max_attempts=2
    )
    event = await action.wait(timeout=300)
    print(event.result, event.payment_confirmation_code)
    await call.hangup()


if __name__ == "__main__":
    client.run()
