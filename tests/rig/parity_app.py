"""The same calls on either SDK: ``python parity_app.py MODULE`` with MODULE ``offhook`` or ``signalwire.relay``.

Every method and every command of every action of the first ten verbs, parameters once set and once absent. Prints
what the app saw, one JSON object.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from typing import Any

TTS = {"type": "tts", "params": {"text": "hello"}}
PHONE = {"type": "phone", "params": {"to_number": "+15550000003", "from_number": "+15550000004"}}


async def stopped(action: Any) -> dict[str, Any]:
    await action.stop()
    event = await action.wait(5)
    return dict(event.params)


async def playback(call: Any) -> list[Any]:
    first = await call.play([TTS], control_id="p1")
    await first.pause()
    await first.resume()
    await first.volume(-3.0)
    return [
        await stopped(first),
        await stopped(await call.play([TTS], volume=2.0, direction="both", loop=2, control_id="p2")),
        await stopped(await call.play_tts("hi", language="de", gender="male", voice="v", volume=1.0)),
        await stopped(await call.play_audio("https://x.example/a.wav")),
        await stopped(await call.play_silence(2)),
        await stopped(await call.play_ringtone("us", duration=3)),
    ]


async def recording(call: Any) -> list[Any]:
    first = await call.record(control_id="r1")
    await first.pause()
    await first.pause("silence")
    await first.resume()
    audio = {"format": "wav", "stereo": True, "direction": "both"}
    return [await stopped(first), await stopped(await call.record(audio=audio, control_id="r2"))]


async def collecting(call: Any) -> list[Any]:
    prompt = await call.play_and_collect([TTS], {"digits": {"max": 1}}, volume=1.0, control_id="pc1")
    await prompt.volume(3.0)
    await prompt.start_input_timers()
    full = await call.collect(
        digits={"max": 4, "terminators": "#"},
        speech={"language": "en-US"},
        initial_timeout=3.0,
        partial_results=True,
        continuous=False,
        send_start_of_input=True,
        start_input_timers=True,
        control_id="c1",
    )
    await full.start_input_timers()
    return [
        await stopped(prompt),
        await stopped(await call.prompt_tts("hello", {"digits": {"max": 1}})),
        await stopped(await call.prompt_audio("https://x.example/a", {"digits": {"max": 1}})),
        await stopped(full),
        await stopped(await call.collect(digits={"max": 1}, control_id="c2")),
    ]


async def inbound(call: Any) -> dict[str, Any]:
    await call.answer()
    await call.wait_for_answered(timeout=5)
    seen: dict[str, Any] = {"play": await playback(call), "record": await recording(call)}
    seen["collect"] = await collecting(call)
    await call.send_digits("12#")
    await call.send_digits("12#", control_id="sd")
    await call.echo()
    await call.echo(timeout=30.0, status_url="https://x.example")
    await call.hangup()
    ended = await call.wait_for_ended(timeout=5)
    seen["ended"] = [ended.params["end_reason"], call.state]
    gone = await call.play([TTS], control_id="late")
    seen["late"] = [gone.is_done, (await gone.wait(5)).params, await call.hangup()]
    return seen


async def main() -> None:
    client = importlib.import_module(sys.argv[1]).RelayClient(
        project="project", token="token", host=os.environ["NODE_HOST"], contexts=["default"]
    )
    seen: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    @client.on_call
    async def handle(call: Any) -> None:
        try:
            seen.set_result(await inbound(call))
        except Exception as error:
            seen.set_exception(error)

    await client.connect()
    await client.receive(["support"])
    await client.unreceive(["support"])
    call = await client.dial([[PHONE]], tag="t1", max_duration=60)
    dialled = [call.state, call.direction, call.tag]
    await call.hangup("busy")
    story = await asyncio.wait_for(seen, 30)
    await client.disconnect()
    sys.stdout.write(json.dumps({"dialled": dialled, **story}) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
