"""Who calls, and is called by, the programs of ``examples/either_sdk``: one party for each, over real SIP and RTP.

Each waits for what the program says, never for a time, and returns what it saw and heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby

import numpy as np

from offhook.testing.hearing import Hearing
from rig import audio
from rig.dialog import Caller
from rig.recording import fetch
from rig.responder import Responder
from rig.rtp import Packet, RtpPeer
from rig.sip import sentence
from rig.stage import WITHIN_S, Program, Stage
from rig.stories import REASONS, UNBUILT, WRONG, Seen
from rig.waiting import until

__all__ = ["PARTIES"]

# --- what is heard ----------------------------------------------------------------------------------------------------


def level(packets: Sequence[Packet]) -> list[float]:
    """RMS of each packet of PCMU."""
    frames = [audio.decode(packet.payload, 0).astype(float) for packet in packets]
    return [float(np.sqrt(np.mean(frame**2))) for frame in frames]


def last(rtp: RtpPeer, count: int = 15) -> list[float]:
    """RMS of the packets that came last."""
    return level(rtp.heard(max(0, rtp.mark() - count)))


async def sound(rtp: RtpPeer) -> float:
    """Wait until there is a sound that lasts; how loud it is."""
    await until(lambda: len(heard := last(rtp)) >= 15 and min(heard) > 200, "a sound")
    return float(np.median(last(rtp)))


async def silence(rtp: RtpPeer) -> None:
    """Wait until it is quiet."""
    await until(lambda: len(heard := last(rtp)) >= 15 and max(heard) < 100, "silence")


def times(rtp: RtpPeer, *frequencies_hz: float, lasting_s: float) -> int:
    """How often these tones were heard, together, for so long. Holes of the machine do not count; others fail."""
    assert rtp.broken() == []
    hearing = Hearing()
    hearing.add(0, rtp.joined().tobytes())
    found = 0
    while hearing.find_tone(frequencies_hz, lasting_s) is not None:
        found += 1
    return found


# --- callers ----------------------------------------------------------------------------------------------------------


async def called(stage: Stage, more: str = "") -> Caller:
    """A call that the program answered."""
    caller = await stage.caller(more)
    caller.invite()
    await caller.accept(WITHIN_S)
    return caller


async def over(caller: Caller) -> str:
    """Wait for the program's BYE; what it says to a person."""
    return sentence(await caller.ended_by_node(WITHIN_S))


async def greet(stage: Stage) -> Seen:
    program = await stage.start(stage.url)
    caller = await called(stage)
    seen: Seen = [await over(caller)]
    await program.ends()
    hearing = Hearing()
    hearing.add(0, caller.rtp.samples().tobytes())
    speech, tone = hearing.find_energy(-35.0, 0.1), hearing.find_tone((800,), 0.5)
    assert speech is not None
    assert tone is not None
    seen += ["speech first", speech < tone]
    seen += ["files", times(caller.rtp, 800, lasting_s=0.8)]
    return [*seen, "ringing", times(caller.rtp, 440, 480, lasting_s=0.4)]


async def steer(stage: Stage) -> Seen:
    program = await stage.start(stage.url)
    caller = await called(stage)
    await sound(caller.rtp)
    await program.says("press", 1)
    caller.rtp.digit("1")
    await silence(caller.rtp)
    await program.says("press", 2)
    caller.rtp.digit("2")
    loud = await sound(caller.rtp)
    await program.says("press", 3)
    caller.rtp.digit("3")
    await until(lambda: min(last(caller.rtp)) > 50 and max(last(caller.rtp)) < loud / 2, "it is less loud")
    await program.says("press", 4)
    caller.rtp.digit("4")
    await silence(caller.rtp)
    await program.says("over")
    seen: Seen = [(await caller.bye()).status]
    await program.ends()
    return seen


async def record(stage: Stage) -> Seen:
    program = await stage.start()
    caller = await called(stage)
    caller.rtp.play(audio.tone(600, 120))
    for number in range(1, 5):
        await program.says("press", number)
        await program.says("record", number)  # recording, paused, recording, paused
        await asyncio.sleep(0.8)  # so that there is something to hear, however slow the machine
        caller.rtp.digit("1")
    await program.says("mono")
    await program.says("record", 6)
    caller.rtp.digit("9")
    seen: Seen = [await over(caller)]
    await program.ends()
    url, duration = program.told("made")[0].split()
    said, played = audio.read_wav(await fetch(stage.node, url, stage.work / f"{stage.number}.wav"))
    seen += ["as long as told", abs(len(said) / 8000 - float(duration)) <= 0.001]
    frames = said[: len(said) // 160 * 160].reshape(-1, 160)
    loud = np.abs(frames.astype(float)).mean(axis=1) > 300
    pauses = [len(list(group)) / 50 for is_loud, group in groupby(loud) if not is_loud]
    seen += ["tone", audio.steady_share(frames[loud].ravel(), 600) > 0.9, "kept pause", max(pauses) > 0.5]
    return [*seen, "nothing played", not played.any()]


async def press_when_asked(program: Program, caller: Caller, rounds: Sequence[str], first: int = 1) -> None:
    """Press the keys of a round each time the program says that it asked."""
    for number, keys in enumerate(rounds, first):
        await program.says("asked", number)
        for pressed in keys:
            caller.rtp.digit(pressed)


async def menu(stage: Stage) -> Seen:
    program = await stage.start(stage.url)
    caller = await called(stage)
    await program.says("asked", 1)
    await sound(caller.rtp)
    caller.rtp.digit("5")
    await press_when_asked(program, caller, ("12*", "7", "7", ""), first=2)
    seen: Seen = [await over(caller)]
    await program.ends()
    return seen


async def ask(stage: Stage) -> Seen:
    program = await stage.start()
    caller = await called(stage)
    await press_when_asked(program, caller, ("5", "12#", "7", ""))
    seen: Seen = [await over(caller)]
    await program.ends()
    return seen


async def keys_as_they_come(stage: Stage) -> Seen:
    program = await stage.start()
    caller = await called(stage)
    await press_when_asked(program, caller, ("159", "357"))
    seen: Seen = [await over(caller)]
    await program.ends()
    return seen


async def keys(stage: Stage) -> Seen:
    program = await stage.start()
    caller = await called(stage)
    seen: Seen = [await over(caller)]
    await program.ends()
    return [*seen, caller.rtp.digits()]


async def mirror(stage: Stage) -> Seen:
    program = await stage.start()
    caller = await called(stage)
    await program.says("echo")
    caller.rtp.play(audio.tone(1000, 120))
    await sound(caller.rtp)
    seen: Seen = [(await caller.bye()).status]
    await program.ends()
    return [*seen, "itself", times(caller.rtp, 1000, lasting_s=0.2) > 0]


async def pass_on(stage: Stage) -> Seen:
    program = await stage.start()
    caller = await stage.caller()
    caller.invite()
    await program.says("passed")
    other = await stage.start(name="take")
    await caller.accept(WITHIN_S)
    seen: Seen = [await over(caller)]
    await program.ends()
    await other.ends()
    return [*seen, *other.told("taken")]


async def ringing(stage: Stage) -> Seen:
    program = await stage.start()
    caller = await stage.caller()
    caller.invite()
    rings = await caller.sip.expect(lambda m: m.status == 180, WITHIN_S, "180")
    taken = await caller.accept(WITHIN_S)
    seen: Seen = ["180 before 200", rings.at < taken.at, await over(caller)]
    await program.ends()
    return seen


async def busy_line(stage: Stage) -> Seen:
    program = await stage.start()
    first, second = await called(stage), await stage.caller("2")
    await program.says("taken")
    second.invite()
    await second.sip.expect(lambda m: m.status == 180, WITHIN_S, "180")  # by now it was offered
    other = await stage.start(name="take")
    await second.accept(WITHIN_S)
    seen: Seen = [await over(second), (await first.bye()).status]
    await program.ends()
    await other.ends()
    return seen


async def hang_up(stage: Stage) -> Seen:
    program = await stage.start(*REASONS)
    seen: Seen = []
    for _ in REASONS:  # one for each reason but the first, and one without
        caller = await stage.caller()
        caller.invite()
        final = await caller.final(WITHIN_S)
        caller.ack_failure(final)
        seen += [final.status, sentence(final)]
    await program.ends()
    return seen


async def hung_up(stage: Stage, *arguments: str) -> Seen:
    """Of the programs that need nothing but a party: answered, and hung up by them."""
    program = await stage.start(*arguments)
    caller = await called(stage)
    seen: Seen = [await over(caller)]
    await program.ends()
    return seen


async def unbuilt(stage: Stage) -> Seen:
    return await hung_up(stage, *UNBUILT, *WRONG)


async def limits(stage: Stage) -> Seen:
    program = await stage.start()
    seen: Seen = [await over(await called(stage)), await over(await called(stage))]
    await program.ends()
    return seen


async def left(stage: Stage) -> Seen:
    program = await stage.start()
    caller = await called(stage)
    await program.says("everything")
    await sound(caller.rtp)
    seen: Seen = [(await caller.bye()).status]
    await program.ends()
    return seen


async def leave(stage: Stage) -> Seen:
    program = await stage.start()
    caller = await called(stage)
    await program.ends()
    return [(await caller.bye()).status]


async def several(stage: Stage) -> Seen:
    program = await stage.start()
    unlucky, first, second, final = [await called(stage, f"-of-{name}") for name in ("unlucky", "one", "two", "last")]
    seen: Seen = []
    for caller, name, pressed in ((second, "two", "222"), (first, "one", "111"), (final, "last", "333")):
        await program.says(name, 2)
        if caller is final:
            seen.append((await unlucky.bye()).status)
        for digit in pressed:
            caller.rtp.digit(digit)
        seen.append(await over(caller))
    await program.ends()
    return seen


async def message(stage: Stage) -> Seen:
    await (await stage.start()).ends()
    return []


async def withdrawn(stage: Stage) -> Seen:
    program = await stage.start()
    caller = await stage.caller()
    caller.invite()
    await program.says("offered")
    await caller.sip.expect(lambda m: 100 <= m.status < 200, WITHIN_S, "a provisional response")
    caller.cancel()
    seen: Seen = [(await caller.response("CANCEL", WITHIN_S)).status]
    final = await caller.final(WITHIN_S)
    caller.ack_failure(final)
    await program.ends()
    return [*seen, final.status, sentence(final)]


# --- who is called ----------------------------------------------------------------------------------------------------


async def refuse(responder: Responder, status: int, reason: str) -> None:
    await responder.offered(WITHIN_S)
    responder.respond(status, reason)
    await responder.acknowledged(WITHIN_S)


async def dial(stage: Stage) -> Seen:
    busy, slow, quick = [await stage.responder() for _ in range(3)]
    program = await stage.start(busy.uri, slow.uri, quick.uri)
    await refuse(busy, 486, "Busy Here")
    for responder in (slow, quick):
        await responder.offered(WITHIN_S)
        responder.ring()
    quick.answer()
    await quick.acknowledged(WITHIN_S)
    cancel = await slow.cancelled(WITHIN_S)
    await program.says("sent")
    await quick.bye()
    await program.ends()
    heard = max(level(quick.rtp.heard()))
    return [sentence(cancel), "speech", heard > 500, quick.rtp.digits()]


async def refused(stage: Stage) -> Seen:
    busy, declines, absent, broken, silent = [await stage.responder() for _ in range(5)]
    program = await stage.start(*(party.uri for party in (busy, declines, absent, broken, silent)))
    await refuse(busy, 486, "Busy Here")
    await refuse(declines, 603, "Decline")
    await refuse(absent, 404, "Not Found")
    await refuse(broken, 500, "Server Error")
    await silent.offered(WITHIN_S)
    silent.ring()
    cancel = await silent.cancelled(WITHIN_S)
    await program.ends()
    return [sentence(cancel)]


PARTIES: Mapping[str, Callable[[Stage], Awaitable[Seen]]] = {
    party.__name__: party
    for party in (
        *(
            greet,
            steer,
            record,
            menu,
            ask,
            keys,
            keys_as_they_come,
            mirror,
            pass_on,
            ringing,
            busy_line,
            hang_up,
            left,
            leave,
            several,
            message,
            withdrawn,
        ),
        *(dial, refused, unbuilt, limits),
    )
} | {"waits": hung_up, "too_late": hung_up}
"""By the name of their program."""
