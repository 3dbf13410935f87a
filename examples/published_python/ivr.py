"""An IVR with the published RELAY SDK: answer, speak, ask for a digit, record, hang up.

Run it in an environment with ``signalwire-sdk``, with the variables that ``offhook dev --env`` prints. The context is
``default`` unless one is named. Each step is printed as one JSON object.
"""

import json
import sys
import time

from signalwire.relay import RelayClient

CONTEXT = sys.argv[1] if len(sys.argv) > 1 else "default"
client = RelayClient(contexts=[CONTEXT])


def tell(what, **more):
    print(json.dumps({"what": what, "t": time.time(), **more}), flush=True)


@client.on_call
async def on_call(call):
    tell("call", call_id=call.call_id, direction=call.direction, state=call.state)
    for kind in ("state", "play", "collect", "record"):
        call.on(f"calling.call.{kind}", lambda event: tell("event", type=event.event_type, params=event.params))
    await call.answer()
    action = await call.play([{"type": "tts", "params": {"text": "Welcome to the demonstration."}}])
    await action.wait(timeout=20)
    tell("played", state=action.result.params.get("state"))

    action = await call.play_and_collect(
        [{"type": "tts", "params": {"text": "Press one for sales, or two for support."}}],
        {"digits": {"max": 1, "digit_timeout": 3.0}, "initial_timeout": 10.0},
    )
    event = await action.wait(timeout=30)
    tell("collected", result=event.params.get("result"))

    action = await call.record({"format": "wav", "direction": "speak", "stereo": False})
    pause = await call.play([{"type": "silence", "params": {"duration": 2}}])
    await pause.wait(timeout=10)
    await action.stop()
    event = await action.wait(timeout=10)
    tell("recorded", url=event.params.get("url"), duration=event.params.get("duration"), size=event.params.get("size"))

    await call.hangup()
    await call.wait_for_ended(timeout=10)
    tell("ended", call_id=call.call_id)


tell("starting")
client.run()
