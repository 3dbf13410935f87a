"""A program that lives with a bad network: every command that failed with the socket is given again.

Calls to ``...long`` hear a tone for as long as they like, while short actions run one after another; other calls are
answered, hear half a second of silence, and are hung up. What happened is printed, one JSON object a line.
"""

import asyncio
import json
import sys
import time
import uuid

from signalwire.relay import RelayClient, RelayError
from websockets.exceptions import ConnectionClosed

client = RelayClient(contexts=["default"])


def tell(what, **more):
    print(json.dumps({"what": what, "t": time.time(), **more}), flush=True)


async def insist(call, ask):
    """Ask until an answer comes; after a retry any answer will do (it was done the first time)."""
    for attempt in range(100):
        try:
            return await ask()
        except (RelayError, ConnectionClosed) as error:  # the second when the socket goes while the SDK writes to it
            tell("retry", call_id=call.call_id, error=str(error))
            if attempt and isinstance(error, RelayError) and error.code != -1:
                return None
            await asyncio.sleep(0.2)
    raise RuntimeError("no answer in 100 attempts")


async def silence(call, seconds):
    control_id = str(uuid.uuid4())
    media = [{"type": "silence", "params": {"duration": seconds}}]
    action = await insist(call, lambda: call.play(media, control_id=control_id))
    if action is not None:
        await action.wait(timeout=100)
        tell("action", call_id=call.call_id, control_id=control_id, state=action.result.params.get("state"))


async def long_call(call):
    tone = [{"type": "audio", "params": {"url": sys.argv[1]}}]
    await insist(call, lambda: call.play(tone, loop=0, control_id="tone"))
    tell("tone", call_id=call.call_id)
    while call.state not in ("ending", "ended"):  # the event that says "answered" may come after the tone's reply
        await silence(call, 0.1)


@client.on_call
async def on_call(call):
    tell("call", call_id=call.call_id, to=call.device)
    call.on("calling.call.state", lambda e: tell("state", call_id=call.call_id, state=e.params.get("call_state")))
    try:
        await insist(call, call.answer)
        if "long" in json.dumps(call.device):
            await long_call(call)
        else:
            await silence(call, 0.5)
            await insist(call, call.hangup)
        await call.wait_for_ended(timeout=100)
    except Exception as error:
        tell("failed", call_id=call.call_id, error=repr(error))
        raise
    tell("done", call_id=call.call_id)


client.run()
