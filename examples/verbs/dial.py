"""Call somebody, say something, and hang up."""

import asyncio

from offhook import DialFailed, RelayClient


async def main() -> None:
    async with RelayClient() as client:
        try:
            call = await client.dial(
                [[{"type": "sip", "params": {"to": "sip:bob@example.com"}}]], tag="reminder", dial_timeout=40
            )
        except DialFailed as failure:
            print("nobody answered:", failure.reason)
            return
        text = await call.play_tts("Your appointment is tomorrow.")
        await text.wait(timeout=30)
        await call.hangup()


if __name__ == "__main__":
    asyncio.run(main())
