"""A call you can hear: starts a node and the IVR, calls it with a phone, speaks, presses 1, and checks every sound.

Prints a time line of SIP, RELAY events and audio, and leaves the recording and its picture in ``out/demo``. Ends with
status 1 if what was heard or recorded is not what was said. (Longer than an example should be: it is a check as well.)
"""

from __future__ import annotations

import asyncio
import importlib
import os
import ssl
import sys
import time
from pathlib import Path

import aiohttp

from offhook import Call, RelayClient
from offhook.node.config.settings import Log
from offhook.node.log import set_up_logging
from offhook.node.speech.wav import WavSpeaker
from offhook.testing.dev import DevNode
from offhook.testing.phone import Phone, PhoneCall
from offhook.testing.waveform import channels_of, draw_waveform, envelope, place_of, speech_envelope

WHERE = "out/demo"
OUT = Path(WHERE).absolute()
ORDER = "I would like to order a large pizza with olives, please."
ALIKE = {0: 0.85, 100: 0.7}
"""Least correlation of loudness over time, by how long it is (in 20 ms): other speech of two seconds stays below 0.6,
that of one may reach 0.76. A machine that is very busy loses a little of what is said."""

events: list[tuple[float, str, str]] = []


def note(source: str, what: str, at: float | None = None) -> None:
    events.append((time.time() if at is None else at, source, what))


def watch(client: RelayClient, handler, recorded: asyncio.Future[dict]) -> None:
    """Run the handler of the IVR, and note every event of its call."""

    @client.on_call
    async def watched(call: Call) -> None:
        note("relay", f"calling.call.receive  {call.device.get('type')} {call.direction}")
        for kind in ("state", "play", "collect", "record"):
            call.on(f"calling.call.{kind}", seen)
        await handler(call)

    def seen(event) -> None:
        params = event.params
        digits = params.get("result", {}).get("params", {}).get("digits", "")
        note("relay", f"{event.event_type}  {params.get('call_state') or params.get('state') or ''} {digits}".rstrip())
        if params.get("url") and params.get("state") == "finished" and not recorded.done():
            recorded.set_result(params)


async def converse(phone: Phone, uri: str) -> PhoneCall:
    """What a caller does: listens, talks over the menu, presses 1, listens to the end."""
    call = await phone.call(uri)
    await call.hears_energy(within_s=10)
    note("audio", "the phone hears the menu")
    await call.hears_silence(within_s=10, lasting_s=0.8)
    note("audio", "the menu is over; the phone says its order")
    await call.says(ORDER)
    note("audio", "the phone presses 1")
    await call.press("1")
    await call.hears_energy(within_s=10)
    note("audio", "the phone hears the answer")
    await call.waits_ended(within_s=30)
    note("audio", f"the call is over; {call.hearing.length_s:.2f} s were heard")
    for report in call.reports:
        if hasattr(report, "summary"):
            note("sip", f"{'->' if report.sent else '<-'} {report.summary}", report.at_us / 1e6)
    return call


async def fetch(params: dict, ca_file: Path) -> bytes:
    """The recording, by its link."""
    tls = ssl.create_default_context(cafile=ca_file)
    async with aiohttp.ClientSession() as http, http.get(params["url"], ssl=tls) as answer:
        answer.raise_for_status()
        return await answer.read()


def keep(call: PhoneCall, recording: bytes) -> None:
    """Write the recording, its picture, and what the phone heard."""
    (OUT / "recording.wav").write_bytes(recording)
    draw_waveform(OUT / "recording.wav", OUT / "recording.svg")
    call.heard_wav(OUT / "heard.wav")


async def check(call: PhoneCall, recording: Path, menu: str, node: WavSpeaker, phone: WavSpeaker) -> list[str]:
    """Compare what was heard and recorded with what was said; returns what is wrong."""
    caller_side, node_side = channels_of(recording)[1]
    answer = "You pressed 1. Goodbye."
    wrong = []
    for what, voice, text, samples in [
        ("the menu, as heard", node, menu, call.hearing.samples),
        ("the answer, as heard", node, answer, call.hearing.samples),
        ("the menu, as recorded", node, menu, node_side),
        ("the answer, as recorded", node, answer, node_side),
        ("the order, as recorded", phone, ORDER, caller_side),
    ]:
        said = speech_envelope(*channels_of(await voice(text)))
        place, alike = place_of(said, envelope(samples))
        least = min(least for length, least in ALIKE.items() if len(said) >= length)
        print(f"  {what:24} likeness {alike:.3f} at {place * 0.02:5.2f} s{'' if alike >= least else '  TOO LOW'}")
        if alike < least:
            wrong.append(what)
    return wrong


async def main() -> int:
    began = time.time()
    set_up_logging(Log())
    recorded = asyncio.get_running_loop().create_future()
    async with DevNode(state_dir=OUT / "state") as node, WavSpeaker(gender="female") as voice, WavSpeaker() as speaker:
        note("demo", f"the node is ready after {time.time() - began:.1f} s")
        os.environ.update(node.environment)
        program = importlib.import_module("ivr")
        watch(program.client, program.ivr, recorded)
        async with program.client, Phone(synthesiser=speaker) as phone:
            call = await converse(phone, node.uri)
            params = await asyncio.wait_for(recorded, 10)
        keep(call, await fetch(params, node.ca_file))
        for at, source, what in sorted(events):
            print(f"{at - began:7.3f}  {source:5}  {what}")
        print(f"\nrecording  {WHERE}/recording.wav  ({params['duration']:.2f} s, {params['size']} bytes)")
        print(f"picture    {WHERE}/recording.svg\nheard      {WHERE}/heard.wav\n")
        wrong = await check(call, OUT / "recording.wav", program.MENU, voice, speaker)
    print(f"\n{'FAILED: ' + ', '.join(wrong) if wrong else 'what was heard and recorded is what was said'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    sys.exit(asyncio.run(main()))
