"""The smallest useful program for the published RELAY SDK: answer, play a second of audio, hang up."""

import sys

from signalwire.relay import RelayClient

client = RelayClient(contexts=[sys.argv[1] if len(sys.argv) > 1 else "default"])


@client.on_call
async def on_call(call):
    await call.answer()
    action = await call.play([{"type": "ringtone", "params": {"name": "us", "duration": 0.5}}])
    await action.wait(timeout=20)
    await call.hangup()


client.run()
