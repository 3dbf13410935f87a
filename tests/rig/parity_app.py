"""The same calls on either SDK: ``python -m rig.parity_app MODULE PART``, MODULE ``offhook`` or ``signalwire.relay``.

``calls``: every method and every command of every action. ``sequences``: what each action resolves with. Prints what
the app saw, one JSON object.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from typing import Any

from rig.sdk_commands import LEAVING, PHONE, STAYING, STEERING, STEERING_BY_KEYWORD, TTS, Command
from rig.sdk_sequences import SEQUENCES

PATIENCE_S = 0.5


async def outcome(call: Any, command: Command) -> Any:
    """What a command comes to: its result, or how its action ended."""
    try:
        result = await getattr(call, command.verb)(*command.args, **command.options)
        if isinstance(result, dict):
            return result
        await result.stop()
        event = await result.wait(5)
    except Exception as error:
        return f"{type(error).__name__} {getattr(error, 'code', '')}: {error}"
    return [event.event_type, dict(event.params), result.is_done, result.completed]


async def steered(call: Any) -> list[Any]:
    """Every command of every action, and how they end."""
    seen = []
    for steering, options in [*((steering, {}) for steering in STEERING), *STEERING_BY_KEYWORD]:
        action = await getattr(call, steering.verb)(*steering.args, **options)
        results = [await getattr(action, command)(*args) for command, args, _, _ in steering.commands]
        event = await action.wait(5)
        seen.append([steering.verb, results, event.event_type, dict(event.params)])
    return seen


async def stay(call: Any) -> dict[str, Any]:
    """One call through everything that leaves it ours."""
    await call.answer()
    await call.wait_for_answered(timeout=5)
    told = [[command.verb, await outcome(call, command)] for command in STAYING if not command.is_ours]
    seen: dict[str, Any] = {"told": told, "steered": await steered(call)}
    await call.hangup()
    ended = await call.wait_for_ended(timeout=5)
    seen["ended"] = [ended.params["end_reason"], call.state]
    gone = await call.play([TTS], control_id="late")
    seen["late"] = [gone.is_done, (await gone.wait(5)).params, await call.hangup()]
    return seen


async def calls(client: Any, arriving: asyncio.Queue[Any]) -> dict[str, Any]:
    await client.receive(["support"])
    await client.unreceive(["support"])
    call = await client.dial([[PHONE]], tag="t1", max_duration=60)
    dialled = [call.state, call.direction, call.tag]
    await call.hangup("busy")
    numbers = {"from_number": "+15550000001", "to_number": "+15550000002"}
    message = await client.send_message(**numbers, context="default", body="hi", tags=["a"])
    more = await client.send_message(**numbers, context="default", media=["https://x.example/p"], region="eu")
    await client.receive(["sent"])
    sent = (await message.wait(5)).params["message_state"]
    story = {"dialled": dialled, "sent": [sent, more.to_number, more.direction], **await stay(await arriving.get())}
    story["leaving"] = [await outcome(await arriving.get(), command) for command in LEAVING]
    return story


async def sequences(_: Any, arriving: asyncio.Queue[Any]) -> list[Any]:
    """The number of the event that each action resolves with; None: it goes on."""
    call = await arriving.get()
    seen = []
    for number, sequence in enumerate(SEQUENCES):
        ask = getattr(call, sequence.verb)
        action = await ask(*sequence.args, **sequence.options, control_id=f"s{number}")
        try:
            event = await action.wait(PATIENCE_S)
            seen.append(event.params.get("number"))
        except TimeoutError:
            seen.append(None)
    return seen


async def main() -> None:
    client = importlib.import_module(sys.argv[1]).RelayClient(
        project="project", token="token", host=os.environ["NODE_HOST"], contexts=["default"]
    )
    arriving: asyncio.Queue[Any] = asyncio.Queue()
    client.on_call(arriving.put)
    await client.connect()
    part = {"calls": calls, "sequences": sequences}[sys.argv[2]]
    story = await asyncio.wait_for(part(client, arriving), 60)
    await client.disconnect()
    sys.stdout.write(json.dumps(story) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
