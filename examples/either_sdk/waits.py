"""What can be waited for: states that are there already, events that match, and some that never come."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    never = asyncio.create_task(outcome(call.wait_for("calling.call.play", timeout=0.2)))
    await call.answer()
    answered = await call.wait_for_answered(timeout=60)
    tell("waited", answered.params["call_state"])
    for reached in (call.wait_for_answered, call.wait_for_ringing):
        tell("waited", await outcome(reached(timeout=60)))
    tell("never", await never)
    tell("never", await outcome(call.wait_for_ending(timeout=0.2)))
    second = asyncio.create_task(
        call.wait_for("calling.call.play", lambda event: event.params["state"] == "finished", timeout=60)
    )
    action = await call.play_silence(0.2)
    tell("matched", (await second).params["control_id"] == action.control_id)
    several = await asyncio.gather(*(action.wait(timeout=60) for _ in range(3)))
    tell("several", *(event.params["state"] for event in several))
    ending = asyncio.create_task(call.wait_for_ending(timeout=60))
    await call.hangup()
    tell("ending", (await ending).params["call_state"])
    for _ in range(2):
        ended = await call.wait_for_ended(timeout=60)
        tell("ended", ended.params["end_reason"], ended.params["call_state"])


async def outcome(waiting):
    try:
        return (await waiting).event_type
    except TimeoutError:
        return "nothing came"


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
