"""Any order of commands, digits, speech, hangups and engine failures: every action ends once, before its call."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import SETTINGS, Bench
from bench.scripts import ScriptOf
from offhook.errors import CommandRefused, EngineLost
from offhook.node.calls.action import Outcome, Running
from offhook.node.engine import ops, reports
from offhook.testing.clock import VirtualClockLoop

ONE_ACTION = "play record collect continuous play_and_collect send_digits echo"
MEDIA = [
    [{"type": "silence", "params": {"duration": 1}}],
    [{"type": "tts", "params": {"text": "hello"}}, {"type": "silence", "params": {"duration": 0.5}}],
    [{"type": "ringtone", "params": {"name": "us"}}],
    [{"type": "tts", "params": {"text": "fails"}}],
    [{"type": "silence", "params": {"duration": 0.2}}, {"type": "tts", "params": {"text": "fails"}}],
    [{"type": "audio", "params": {"url": "https://a.example/none"}}],
]
DIGITS = {"max": 2, "terminators": "#", "digit_timeout": 0.5}
STEERING = {
    "play": ["play.stop", "play.pause", "play.resume", "play.volume"],
    "record": ["record.stop", "record.pause", "record.resume"],
    "collect": ["collect.stop", "collect.start_input_timers"],
    "continuous": ["collect.stop", "collect.start_input_timers"],
    "play_and_collect": ["play_and_collect.stop", "play_and_collect.volume", "collect.start_input_timers"],
    "send_digits": ["play.stop"],
    "echo": ["play.stop"],
}
TAILS = {
    "play": [["play finished"], ["play error"]],
    "record": [["record finished"], ["record no_input"], ["record error", "record no_input"]],
    "send_digits": [["send_digits finished"], ["send_digits error"]],
    "collect": [
        ["collect finished", "collect no_input"], ["collect digit"], ["collect no_match"], ["collect no_input"],
        ["collect error"],
    ],
}  # fmt: skip
ONGOING = {
    "play": {"play playing", "play paused"},
    "record": {"record recording", "record paused"},
    "send_digits": set(),
    "collect": set(),
}

starts = st.tuples(
    st.sampled_from(["client", "client", "script"]), st.sampled_from(ONE_ACTION.split()), st.integers(0, 5)
)
steers = st.tuples(st.just("steer"), st.integers(0, 7), st.integers(0, 3))
others = st.sampled_from(
    [
        "press 1",
        "press 2",
        "press #",
        "press 12",
        "speak",
        "fail",
        "refuse",
        "slow",
        "slow",
        "hold",
        "cut",
        "kill",
        "look",
    ]
).map(lambda word: ("other", word, 0))
ends = st.sampled_from(["hangup", "end", "crash"]).map(lambda word: ("end", word, 0))
gaps = st.sampled_from([0.0, 0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.3, 1.0, 5.0])
steps = st.lists(st.tuples(gaps, st.one_of(starts, starts, steers, steers, others)), max_size=14)
plans = st.tuples(steps, st.tuples(gaps, ends), st.lists(st.tuples(gaps, st.one_of(starts, steers)), max_size=3))


class Run:
    """One call, driven by a plan."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.kinds: dict[str, str] = {}
        self.accepted: dict[str, bool] = {}
        self.refusals: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.scripted: dict[str, Running] = {}
        """What the script started; what is not there the client did."""
        self.outcomes: dict[str, Outcome] = {}

    async def follow(self, plan) -> None:
        before, (gap, last), after = plan
        self.call = await self.bench.talk()
        self.script = ScriptOf(self.bench.registry, self.call)
        for wait, step in [*before, (gap, last), *after]:
            if wait:
                await asyncio.sleep(wait)
            self.do(step)
        await self.bench.ended(self.call)
        await asyncio.gather(*self.tasks)
        await asyncio.sleep(10)  # whatever might still come late

    def do(self, step) -> None:
        match step:
            case ("client" | "script" as who, kind, choice):
                self.spawn(self.start(who, kind, choice))
            case ("steer", which, choice):
                self.spawn(self.steer(which, choice))
            case (_, word, _):
                self.other(word)

    def spawn(self, work) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def start(self, who: str, kind: str, choice: int) -> None:
        control_id = f"{who}-{kind}-{len(self.kinds)}"
        self.kinds[control_id] = kind
        method, params = kind, {"control_id": control_id}
        match kind:
            case "play":
                params |= {"play": MEDIA[choice], "loop": choice % 3}
            case "record":
                params["record"] = {"audio": {"initial_timeout": choice % 2, "max_length": choice % 3}}
            case "collect" | "continuous":
                method = "collect"
                params |= {"digits": DIGITS, "continuous": kind == "continuous", "partial_results": choice == 1}
                params |= {"start_input_timers": choice % 2 == 0, "initial_timeout": 0.5, "send_start_of_input": True}
            case "play_and_collect":
                params |= {"play": MEDIA[choice], "collect": {"initial_timeout": 0.5, "digits": DIGITS | {"min": 1}}}
            case "send_digits":
                params["digits"] = "12w"
            case "echo":
                params = {"timeout": 5 + choice}
        try:
            if who == "client":
                await self.bench.run(f"calling.{method}", self.call, **params)
            else:
                await self.start_by_script(control_id, f"calling.{method}", params)
        except CommandRefused:
            self.accepted[control_id] = False
        else:
            self.accepted[control_id] = True

    async def start_by_script(self, control_id: str, method: str, params: dict[str, Any]) -> None:
        running = self.scripted[control_id] = await self.script.start(method, **params)
        await running.accepted()
        self.spawn(self.await_end(control_id))

    async def await_end(self, control_id: str) -> None:
        self.outcomes[control_id] = await self.scripted[control_id].ended()

    async def steer(self, which: int, choice: int) -> None:
        if not self.kinds:
            return
        control_id = list(self.kinds)[which % len(self.kinds)]
        if control_id in self.scripted and choice == 0:
            await self.scripted[control_id].stop()
            return
        methods = STEERING[self.kinds[control_id]]
        method = methods[choice % len(methods)]
        params = {"volume": 3} if method.endswith("volume") else {}
        try:
            await self.bench.run(f"calling.{method}", self.call, control_id=control_id, **params)
        except CommandRefused as error:
            self.refusals.append(error.code)

    def other(self, word: str) -> None:
        engine, leg = self.bench.engine, self.call.leg.id
        is_there = leg in engine._legs
        running = list(engine._legs[leg].running) if is_there else []
        match word.split():
            case ["press", digits] if is_there:
                engine.press(leg, digits)
            case ["speak"] if is_there:
                engine.speak(leg, 0.3)
            case ["fail"] if running:
                engine.end_operation(running[-1], "error", "scripted")
            case ["kill"] if running:
                engine.end_operation(running[0], "hangup")
            case ["refuse"]:
                for kind in (ops.Play, ops.Record, ops.SendDigits, ops.Pause):  # a stop is refused of what is over only
                    engine.refuse_next(kind)
            case ["slow"]:
                engine.reply_after_s = 0.1
            case ["hold"] if is_there:
                engine.report(reports.LegChanged(leg=leg, hold=True))
            case ["cut"]:
                engine.lose()
                self.spawn(self.attach())
            case ["hangup"] if is_there:
                engine.hang_up(leg)
            case ["end"]:
                self.spawn(self.end())
            case ["look"]:
                self.spawn(self.look_for_orphans())
            case ["crash"]:
                engine.crash()
                self.spawn(self.attach())

    async def look_for_orphans(self) -> None:
        """What runs in the engine belongs to an open action, but for moments."""
        first = self.unowned()
        await asyncio.sleep(0.3)
        assert not first & self.unowned()

    def unowned(self) -> set[int]:
        leg = self.bench.engine._legs.get(self.call.leg.id)
        running = set(leg.running) if leg else set()
        return running if len(running) > len(self.call.actions) else set()

    async def attach(self) -> None:
        """As the node does it: again, when the engine goes meanwhile."""
        while True:
            try:
                await self.bench.exchange.attach()
            except EngineLost:
                await asyncio.sleep(0.1)
            else:
                return

    async def end(self) -> None:
        try:
            await self.bench.run("calling.end", self.call, reason="hangup")
        except CommandRefused as error:
            self.refusals.append(error.code)

    # --- what must hold --------------------------------------------------------------------------------------

    def check(self) -> None:
        events = self.bench.sink.events
        states = self.bench.states(self.call)
        assert states == ["answered", "ending", "ended"]
        assert set(self.refusals) <= {"404", "409", "410", "500"}
        assert events[-1].params.get("call_state") == "ended", "something came after ended"
        assert events[-1].event_type == "calling.call.state"
        for control_id, kind in self.kinds.items():
            is_scripted = control_id.startswith("script")
            lines, others = self.bench.told(control_id, self.script.heard), self.bench.told(control_id)
            if not is_scripted:
                lines, others = others, lines
            assert others == [], "told to who did not start it"
            if not self.accepted[control_id]:
                assert lines == [], (control_id, lines)
            elif kind != "echo":
                self.check_action(kind, lines)
            if is_scripted:
                self.check_outcome(control_id)
        for sink in (self.bench.sink, self.script.heard):
            echoes = [params["state"] for params in sink.of("calling.call.echo")]
            assert Counter(echoes)["echoing"] == Counter(echoes)["finished"]
        assert self.call._tasks.failures == self.bench.exchange._tasks.failures == 0
        assert len(self.bench.exchange.calls) == 0

    def check_outcome(self, control_id: str) -> None:
        """Who awaits the end of a verb is told it, once it was accepted, and what of it was told."""
        assert (control_id in self.outcomes) is self.accepted[control_id]
        if self.accepted[control_id] and self.kinds[control_id] != "echo":
            said = dict(self.outcomes[control_id].params)
            said["control_id"] = control_id
            assert any(event.params.items() >= said.items() for event in self.script.heard.events), said

    def check_action(self, kind: str, lines: list[str]) -> None:
        if kind in ("play", "record", "send_digits"):
            assert any(self.is_life(kind, lines, tail) for tail in TAILS[kind]), lines
            return
        plays = [line for line in lines if line.startswith("play ")]
        collects = [line for line in lines if line.startswith("collect ")]
        if kind == "play_and_collect":
            assert any(self.is_life("play", plays, tail) for tail in TAILS["play"]), lines
            assert lines.index(collects[-1]) > lines.index(plays[-1])
            assert collects in TAILS["collect"], lines
        elif kind == "collect":
            finals = [line for line in collects if line != "collect start_of_input"]
            assert finals[-1] in ("collect digit", "collect no_input", "collect error"), lines
            assert "collect finished" not in finals[:-2], lines
        else:
            assert collects[-2:] == ["collect finished", "collect no_input"] or collects[-1] == "collect error", lines
            assert "collect finished" not in collects[:-2], lines

    @staticmethod
    def is_life(kind: str, lines: list[str], tail: list[str]) -> bool:
        return lines[-len(tail) :] == tail and set(lines[: -len(tail)]) <= ONGOING[kind]


async def play_out(plan, directory: str) -> None:
    bench = Bench(Path(directory), msgspec.structs.replace(SETTINGS))
    bench.speech.failures.add("fails")
    run = Run(bench)
    async with bench.exchange:
        await bench.exchange.attach()
        await run.follow(plan)
    run.check()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, left


@settings(max_examples=5 * settings().max_examples)
@given(plans)
def test_every_accepted_action_ends_once_and_before_its_call(plan):
    with tempfile.TemporaryDirectory() as directory:
        loop = VirtualClockLoop()
        try:
            loop.run_until_complete(play_out(plan, directory))
        finally:
            loop.close()
