"""Bridge the caller to an agent; the caller hears a ringing tone meanwhile."""

import asyncio

from offhook import Call, ConnectEvent, RelayClient

client = RelayClient(contexts=["default"])


def is_decided(event: ConnectEvent) -> bool:
    return event.connect_state in ("connected", "failed")


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()
    decided = asyncio.create_task(call.wait_for("calling.call.connect", is_decided, timeout=40))  # before it can come
    await call.connect(
        [[{"type": "sip", "params": {"to": "sip:agent@example.com"}}]],
        ringback=[{"type": "ringtone", "params": {"name": "us"}}],
        tag="agent",
    )
    await decided
    if call.peer_call is not None:
        print(call.peer_call.tag, call.peer_call.state)
    await call.disconnect()
    await call.hangup()


if __name__ == "__main__":
    client.run()
