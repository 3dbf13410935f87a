"""Commands for a call that is over do nothing, and say so without an error."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


async def handle(call):
    await call.answer()
    await call.hangup()
    await call.wait_for_ended(timeout=60)
    for command in (call.answer, call.hangup, call.echo, lambda: call.send_digits("1")):
        tell("nothing", await command())
    media = [{"type": "silence", "params": {"duration": 1}}]
    actions = [
        await call.play(media),
        await call.record(),
        await call.collect(digits={"max": 1}),
        await call.play_and_collect(media, {"digits": {"max": 1}}),
    ]
    for action in actions:
        event = await action.wait(timeout=60)
        tell("over", dict(event.params), action.is_done, action.completed, await action.stop())


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
