"""A caller and a program that do anything at any time, from a seed; what they were promised is kept for a judge."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rig.dialog import Caller
from rig.node import NodeProcess
from rig.relay import Event, RelayPeer

__all__ = ["Monkey", "broken_promises"]

STEERED = {
    "play": ["pause", "resume", "stop", "volume"],
    "record": ["pause", "resume", "stop"],
    "collect": ["stop", "start_input_timers"],
    "play_and_collect": ["stop", "volume"],
}
ENDS = {
    "play": [["finished"], ["error"]],
    "record": [["finished"], ["no_input"], ["error", "no_input"]],
    "send_digits": [["finished"], ["error"]],
    "collect": [["digit"], ["no_input"], ["no_match"], ["finished", "no_input"], ["error"]],
}
"""What may end an action, by the type of its events: each client needs just these."""
TERMINAL = {"finished", "error", "no_input", "digit", "no_match"}


@dataclass
class Monkey:
    """One call and all that is done to it. ``accepted`` are actions that were answered with 200."""

    node: NodeProcess
    relay: RelayPeer
    number: int
    dice: random.Random
    call: Event | None = None
    accepted: list[tuple[str, str]] = field(default_factory=list)
    replies: list[dict[str, Any]] = field(default_factory=list)
    _begun: list[tuple[str, str]] = field(default_factory=list)
    _sent: list[asyncio.Task[None]] = field(default_factory=list)

    async def live(self) -> None:
        """From the INVITE to the last reply."""
        transport = self.dice.choice(["udp", "tcp"])
        caller = await Caller.open(self.node.sip(transport), transport=transport, to=f"monkey{self.number}")
        caller.invite()
        own = f"monkey{self.number}@"
        self.call = await self.relay.event("receive", lambda e: own in str(e.params["device"]))
        before = self.dice.random()
        if before < 0.1:
            caller.cancel()
        else:
            self.command("end" if before < 0.2 else "answer")
        await self.talk(caller)
        await asyncio.gather(*self._sent)
        caller.close()

    async def talk(self, caller: Caller) -> None:
        final = await caller.final()
        if final.status != 200:
            return caller.ack_failure(final)
        caller.answer = final
        caller.ack()
        caller.rtp.start(final.media)
        for step in range(self.dice.randint(4, 14)):
            self.act(caller, f"{self.number}-{step}")
            await asyncio.sleep(self.dice.choice([0, 0, 0.02, 0.05, 0.2, 0.5]))
        self.command("end")
        caller.request("BYE")
        await caller.response("BYE")
        for bye in [m for m in caller.sip.inbox if m.method == "BYE" and not m.status]:
            caller.sip.respond(bye, 200, "OK")
        return None

    def act(self, caller: Caller, control_id: str) -> None:
        """One step of either side."""
        kind = self.dice.choice(
            [*STEERED, *STEERED, "play", "send_digits", "echo", "steer", "steer", "key", "key", "end"]
        )
        if kind in STEERED or kind == "send_digits":
            self.command(kind, control_id=control_id, **self.params_of(kind))
            self._begun.append((kind, control_id))
        elif kind == "echo":
            self.command("echo", timeout=5)
        elif kind == "steer" and (begun := [b for b in self._begun if b[0] in STEERED]):
            verb, running = self.dice.choice(begun)
            how = self.dice.choice(STEERED[verb])
            self.command(f"{verb}.{how}", control_id=running, **({"volume": -10} if how == "volume" else {}))
        elif kind == "key":
            caller.rtp.digit(self.dice.choice("0123456789*#"))
        elif kind == "end" and self.dice.random() < 0.3:
            self.command("end")

    def params_of(self, kind: str) -> dict[str, Any]:
        digits = {"max": 2, "digit_timeout": 0.3}
        if kind == "play":
            return {"play": self.media(), "loop": self.dice.choice([0, 1, 1, 2])}
        if kind == "record":
            limits = {"max_length": self.dice.choice([0, 0.3]), "initial_timeout": self.dice.choice([0, 0.3])}
            return {"record": {"audio": {"beep": self.dice.random() < 0.3, **limits}}}
        if kind == "collect":
            return {"digits": digits, "initial_timeout": 0.5, "start_input_timers": self.dice.random() < 0.5}
        if kind == "play_and_collect":
            return {"play": self.media(), "collect": {"digits": digits, "initial_timeout": 0.4}}
        return {"digits": "1w2"}

    def media(self) -> list[dict[str, Any]]:
        """One to three things to play, some of which cannot be."""
        choices: list[dict[str, Any]] = [
            {"type": "tts", "params": {"text": self.dice.choice(["Hello there.", "One two three.", " "])}},
            {"type": "ringtone", "params": {"name": "us", "duration": self.dice.choice([0.1, 2])}},
            {"type": "silence", "params": {"duration": self.dice.choice([0.001, 0.05, 0.5])}},
            {"type": "audio", "params": {"url": "http://127.0.0.1:1/nothing.wav"}},
        ]
        return self.dice.choices(choices, k=self.dice.randint(1, 3))

    def command(self, verb: str, **params: Any) -> None:
        """Send it without waiting for its reply."""
        self._sent.append(asyncio.create_task(self._command(verb, params)))

    async def _command(self, verb: str, params: dict[str, Any]) -> None:
        assert self.call
        where = {"node_id": self.call.params["node_id"], "call_id": self.call.call_id}
        reply = (await self.relay.call(f"calling.{verb}", {**where, **params})).data["result"]
        self.replies.append(reply)
        if reply["code"] == "200" and (verb in STEERED or verb == "send_digits"):
            self.accepted.append((verb, params["control_id"]))


def broken_promises(monkey: Monkey, events: list[Event]) -> Iterator[str]:
    """What is wrong with the events of its call, in their order."""
    states = [e.state for e in events if e.type == "calling.call.state"]
    if states != [s for s in ("answered", "ending", "ended") if s in states] or "ended" not in states:
        yield f"states {states}"
    if events[-1].state != "ended":
        yield f"after ended: {events[-3:]}"
    ends: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event in events:
        word = event.params.get("result", {}).get("type") or event.state
        key = (event.type.removeprefix("calling.call."), str(event.params.get("control_id", "")))
        if key[1] and ends[key] and word not in TERMINAL:
            yield f"{key}: {word} after its end"
        if key[1] and word in TERMINAL:
            ends[key].append(word)
    for verb, control_id in monkey.accepted:
        for kind in {"play_and_collect": ["play", "collect"]}.get(verb, [verb]):
            if ends[kind, control_id] not in ENDS[kind]:
                yield f"{verb} {control_id}: {kind} ended with {ends[kind, control_id]}"
