"""The program of the series: what becomes of a call is told by the number that was dialled."""

from __future__ import annotations

import json
import os
import signal
import sys

from offhook import Call, Device, RelayClient
from offhook.errors import DialFailed
from offhook.node.processes.held import held

client = RelayClient(contexts=["default"], max_active_calls=10_000)
NOWHERE: Device = {"type": "sip", "params": {"to": os.environ["SERIES_NOWHERE"], "timeout": 10}}
UNKNOWN: Device = {"type": "sip", "params": {"to": os.environ["SERIES_UNKNOWN"], "timeout": 10}}


@client.on_call
async def on_call(call: Call) -> None:
    dialled = call.device["params"]["to"].removeprefix("sip:")
    match dialled[:2]:
        case "10":
            await call.answer()
            await call.hangup()
        case "11":
            await call.answer()
            await record_and_speak(call)
            await call.hangup()
        case "12":
            await call.hangup(reason="busy")
        case "13":
            await call.accept()
            await call.wait_for_ended()
        case "14":
            await dial_nobody()
            await call.hangup(reason="noAnswer")


async def record_and_speak(call: Call) -> None:
    recording = await call.record({"format": "wav", "stereo": True, "direction": "both"})
    said = await call.play_tts("hello")
    await said.wait()
    await recording.stop()
    await recording.wait()


async def dial_nobody() -> None:
    """Where nothing listens, then to a number that nobody has."""
    for device in (NOWHERE, UNKNOWN):
        try:
            await client.dial([[device]])
        except DialFailed:
            continue
        raise AssertionError("somebody answered")


def tell_held(*_: object) -> None:
    """One line, as a node's."""
    sys.stderr.write(json.dumps({"event": "held", **held("offhook")}) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, tell_held)
    client.run()
