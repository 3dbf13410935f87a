"""An application as somebody would write it: a menu, a voicemail, an agent by phone. Strict for mypy and pyright alike.

Checked, not run, by ``make types``.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from offhook import (
    Action,
    Call,
    CallStateEvent,
    Collect,
    CollectEvent,
    ConnectDevice,
    ConnectEvent,
    DialFailed,
    Media,
    Message,
    PlayEvent,
    RecordAudio,
    RecordEvent,
    RelayClient,
    RelayError,
)

log = logging.getLogger("frontdesk")
client = RelayClient(contexts=["frontdesk"], max_active_calls=50)

MENU: list[Media] = [
    {"type": "silence", "params": {"duration": 0.5}},
    {"type": "tts", "params": {"text": "Press 1 for sales, or say what it is about.", "voice": "alba"}},
]
ANSWER: Collect = {
    "initial_timeout": 6.0,
    "digits": {"max": 1, "digit_timeout": 3.0},
    "speech": {"language": "en-US", "end_silence_timeout": 0.8},
}


@dataclass
class Desk:
    """Who can be reached, and what was left for them."""

    agents: dict[str, list[str]]
    voicemail: list[str] = field(default_factory=lambda: list[str]())

    def devices(self, about: str) -> list[list[ConnectDevice]]:
        """All agents of a topic at once, each for 20 s."""
        numbers = self.agents.get(about, [])
        return [[{"type": "phone", "params": {"to_number": number, "timeout": 20}} for number in numbers]]

    def keep(self, event: RecordEvent) -> None:
        """A voicemail is complete."""
        if event.cause is None and event.duration_s > 1:
            self.voicemail.append(event.url)


desk = Desk({"sales": ["+15550000001", "+15550000002"]})


async def ask(call: Call) -> str:
    menu = await call.play_and_collect(MENU, ANSWER, volume=-3)
    event: CollectEvent = await menu.wait(timeout=60)
    if event.result_type == "digit":
        return {"1": "sales"}.get(event.digits, "")
    return event.text.lower() if event.confidence > 40 else ""


async def bridge(call: Call, about: str) -> bool:
    def is_decided(event: ConnectEvent) -> bool:
        return event.connect_state in ("connected", "failed")

    decided = asyncio.create_task(call.wait_for("calling.call.connect", is_decided, timeout=45))
    try:
        await call.connect(desk.devices(about), ringback=[{"type": "ringtone", "params": {"name": "us"}}])
        event = await decided
    except (RelayError, TimeoutError) as error:
        log.warning("nobody there: %s", error)
        return False
    finally:
        decided.cancel()
    return event.connect_state == "connected" and call.peer_call is not None


async def take_voicemail(call: Call) -> None:
    prompt = await call.play_tts("Please leave a message.", gender="female")
    await prompt.wait(timeout=20)
    how: RecordAudio = {"format": "wav", "beep": True, "max_length": 120}
    async with await call.record(how, on_completed=desk.keep) as recording:
        event = await recording.wait(timeout=130)
    if event.state == "no_input":
        log.info("%s said nothing", call.call_id)


async def stop_all(actions: list[Action]) -> None:
    await asyncio.gather(*(action.stop() for action in actions if not action.is_done))


@client.on_call
async def on_call(call: Call) -> None:
    await call.answer()

    def paused(event: PlayEvent) -> None:
        log.info("music is %s", event.state)

    async def over(event: CallStateEvent) -> None:
        log.info("%s: %s after %d ms", call.call_id, event.end_reason, event.end_time_ms - event.start_time_ms)

    remove = call.on("calling.call.play", paused)
    call.on("calling.call.state", over)
    music = await call.play_audio("https://example.com/music.wav", loop=0, volume=-12)
    about = await ask(call)
    await stop_all([music])
    remove()
    if not await bridge(call, about):
        await take_voicemail(call)
        await call.hangup()
    ended = await call.wait_for_ended()
    log.info("%s (%s)", ended.end_reason, ended.cause)


@client.on_message
async def on_message(message: Message) -> None:
    reply = await client.send_message(
        to_number=message.from_number, from_number=message.to_number, body=f"We got: {message.body}"
    )
    state = await reply.wait(timeout=60)
    log.info("%s %s", state.message_state, state.reason)


async def remind(number: str) -> str:
    try:
        call = await client.dial([[{"type": "phone", "params": {"to_number": number, "timeout": 30}}]], dial_timeout=40)
    except DialFailed as error:
        return error.reason
    detector = await call.detect_answering_machine(timeout=30, detect_message_end=True)
    found = await detector.wait(timeout=40)
    if found.result == "MACHINE":
        await detector.wait_for_beep(timeout=60)
    message = await call.play_tts("Your appointment is tomorrow.")
    event = await message.wait(timeout=30)
    await call.hangup()
    return event.cause or event.state


if __name__ == "__main__":
    client.run()
