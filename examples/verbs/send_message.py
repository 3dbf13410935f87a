"""Send a text message and wait until it is delivered."""

import asyncio

from offhook import RelayClient


async def main() -> None:
    async with RelayClient() as client:
        message = await client.send_message(
            to_number="+15550000002", from_number="+15550000001", body="Your order is on its way."
        )
        await message.wait(timeout=60)
        print(message.state, message.reason)


if __name__ == "__main__":
    asyncio.run(main())
