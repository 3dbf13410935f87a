"""Place a call with the published RELAY SDK: ``dialler.py sip:someone@127.0.0.1:5070``; play, press keys, hang up."""

import asyncio
import json
import sys
import time

from signalwire.relay import RelayClient, RelayError


def tell(what, **more):
    print(json.dumps({"what": what, "t": time.time(), **more}), flush=True)


async def main(to):
    async with RelayClient(contexts=[]) as client:
        device = {"type": "sip", "params": {"to": to, "from": "sip:demo@localhost", "timeout": 15}}
        try:
            call = await client.dial([[device]], dial_timeout=30)
        except RelayError as error:
            tell("failed", error=str(error))
            return
        tell("answered", call_id=call.call_id, state=call.state, direction=call.direction)
        action = await call.play([{"type": "tts", "params": {"text": "Hello from a program."}}])
        await action.wait(timeout=20)
        sent = asyncio.Event()
        call.on("calling.call.send_digits", lambda _: sent.set())
        await call.send_digits("12#")
        await asyncio.wait_for(sent.wait(), 10)
        await call.hangup()
        await call.wait_for_ended(timeout=10)
        tell("ended")


asyncio.run(main(sys.argv[1]))
