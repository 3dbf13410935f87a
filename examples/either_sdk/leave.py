"""The program leaves while a callback and a handler of an event are busy: both finish."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


class Busy:
    """A callback that takes its time."""

    def __init__(self, name):
        self.name = name
        self.began = asyncio.Event()
        self.done = asyncio.Event()

    async def take(self, event):
        if event.params["state"] == "finished":
            tell(self.name, "begins")
            self.began.set()
            await asyncio.sleep(0.5)
            tell(self.name, "finishes")
            self.done.set()


async def handle(call, callback, handler):
    await call.answer()
    call.on("calling.call.play", handler.take)
    await call.play_silence(0.1, on_completed=callback.take)
    await callback.began.wait()
    await handler.began.wait()


async def main():
    callback, handler = Busy("callback"), Busy("handler")
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get(), callback, handler)
    await asyncio.wait_for(callback.done.wait(), 60)
    await asyncio.wait_for(handler.done.wait(), 60)
    tell("left")


asyncio.run(main())
