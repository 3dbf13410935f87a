"""``offhook call``: a phone in the terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec

from offhook.node.speech.wav import WavSpeaker
from offhook.testing.phone import NotHeard, Phone, PhoneCall

__all__ = ["CallPlan", "place_call"]

_PROMPT_S = 10.0
_GAP_S = 0.7


class CallPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do in the call: wait for the other end to speak and pause, then say, press and play, then listen."""

    uri: str
    say: tuple[str, ...] = ()
    press: str = ""
    play: Path | None = None
    out: Path | None = None
    seconds: float = 30.0


async def place_call(plan: CallPlan, engine: str = "") -> None:
    """Place it, print what happens as it happens, hang up after ``seconds`` if the other end does not.

    Raises:
        CallFailed: nobody answered; says how it ended on SIP.
    """
    began = asyncio.get_running_loop().time()

    def tell(what: str) -> None:
        sys.stdout.write(f"{asyncio.get_running_loop().time() - began:7.2f}  {what}\n")
        sys.stdout.flush()

    async with WavSpeaker() as speaker, Phone(binary=engine, synthesiser=speaker) as phone:
        tell(f"calling {plan.uri}")
        call = await phone.call(plan.uri, ring_timeout_s=plan.seconds)
        tell("answered")
        try:
            async with asyncio.timeout(plan.seconds):
                await _converse(call, plan, tell)
                await call.waits_ended(within_s=plan.seconds)
                tell("the other end hung up")
        except (TimeoutError, NotHeard):
            if call.ended is None:
                await call.hangup()
                tell(f"hung up after {plan.seconds:g} s")
            else:
                tell("the other end hung up")
        if call.digits:
            tell(f"keys heard: {call.digits}")
        if plan.out is not None:
            tell(f"what was heard: {call.heard_wav(plan.out)}")


async def _converse(call: PhoneCall, plan: CallPlan, tell: Callable[[str], None]) -> None:
    """Each turn comes after the other end spoke and paused."""
    turns: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        (f"says {text!r}", partial(call.says, text)) for text in plan.say
    ]
    if plan.press:
        turns.append((f"presses {plan.press}", partial(call.press, plan.press)))
    if plan.play is not None:
        turns.append((f"plays {plan.play.name}", partial(call.plays, plan.play)))
    if not turns:
        await _listen(call, tell)
    for what, turn in turns:
        try:
            await call.hears_energy(within_s=_PROMPT_S)
            tell("hears something")
            await call.hears_silence(within_s=_PROMPT_S, lasting_s=_GAP_S)
        except NotHeard:
            tell("hears nothing; goes on")
        tell(what)
        await turn()


async def _listen(call: PhoneCall, tell: Callable[[str], None]) -> None:
    """Somebody who only listens is told that there is something to hear."""
    try:
        await call.hears_energy(within_s=_PROMPT_S)
    except NotHeard:
        if call.ended is None:
            tell("hears nothing so far")
    else:
        tell("hears something")
