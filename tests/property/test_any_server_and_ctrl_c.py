"""Any order of a server's faults, whatever a program does meanwhile, and Ctrl-C at any point, on a clock that jumps.

The program ends within its time, each action ends once, and nothing is left. Sockets are real, so are the signals.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offhook.client.actions.action import Action
from offhook.client.app.relay import RelayClient
from offhook.client.app.serving import serve
from offhook.client.calls.call import Call
from offhook.client.events import RelayEvent
from offhook.errors import OffhookError, RelayError
from offhook.protocol.states import CallState
from offhook.testing.clock import VirtualClockLoop
from rig.faulty_node import FaultyNode
from rig.sdk_commands import PHONE

DRAIN_S = 5.0

AT_MOST_S = 1 + DRAIN_S + 1 + 1 + 1
"""Telling the node, handlers, callbacks, goodbye on the socket; and one for what takes no time."""

AT_ONCE_S = 3.0

GARBAGE: list[str | bytes] = [
    *("{", "[]", "7", '{"id":"1"}', '{"jsonrpc":"2.0","method":"signalwire.event","params":{}}'),
    '{"id":"x","method":"signalwire.event","params":{"event_type":"calling.call.state","params":{"call_id":[]}}}',
    '{"id":"y","method":"signalwire.ping","params":{"a":"\\ud800"}}',
    *(b"\0\xff", b"", b"{}"),
]

program_step = st.one_of(
    st.tuples(st.sampled_from(["answer", "hangup", "pass_", "denoise"])),
    st.tuples(st.just("play"), st.sampled_from(["prompt", "other", None])),
    st.tuples(st.just("record"), st.sampled_from(["prompt", None])),
    st.tuples(st.just("wait"), st.sampled_from([None, 0.5, 30.0])),
    st.tuples(st.just("wait_for"), st.sampled_from([None, 2.0])),
    st.tuples(st.just("stop")),
    st.tuples(st.just("dial")),
    st.tuples(st.just("message"), st.sampled_from([None, 1.0])),
    st.tuples(st.just("receive"), st.booleans()),
    st.tuples(st.just("sleep"), st.sampled_from([0.0, 1.0, 20.0])),
)
server_step = st.one_of(
    st.tuples(st.just("offer"), st.lists(program_step, min_size=1, max_size=6)),
    st.tuples(st.just("offer"), st.lists(program_step, min_size=1, max_size=6)),
    st.tuples(st.just("pass_time"), st.sampled_from([0.1, 1.0, 1.0, 10.0, 30.0, 200.0, 700.0])),
    st.tuples(st.just("pass_time"), st.sampled_from([0.1, 1.0, 1.0])),
    st.tuples(st.just("drop")),
    st.tuples(st.just("freeze")),
    st.tuples(st.just("away"), st.booleans()),
    st.tuples(st.just("away"), st.just(False)),
    st.tuples(st.just("refuse"), st.none()),
    st.tuples(st.just("refuse"), st.sampled_from([None, None, -32000, -32002, -32003, -32004, -32005, -32602, -32603])),
    st.tuples(st.just("restart"), st.booleans()),
    st.tuples(st.just("forget")),
    st.tuples(st.just("truncate"), st.booleans()),
    st.tuples(st.just("garbage"), st.sampled_from(GARBAGE)),
    st.tuples(st.just("ping")),
    st.tuples(st.just("mute"), st.sampled_from(["calling.play", "signalwire.unreceive", "messaging.send"])),
    st.tuples(st.just("unmute")),
    st.tuples(st.just("finish")),
    st.tuples(st.just("hang_up")),
)


class Story:
    """A program, its server, and what must hold."""

    def __init__(self) -> None:
        self.node = FaultyNode()
        self.node.hold("calling.play", "calling.record", "messaging.send")
        self.programs: list[list[tuple[Any, ...]]] = []
        self.numbers = itertools.count()
        self.actions: dict[int, Action] = {}
        self.ends: Counter[int] = Counter()

    # --- the program --------------------------------------------------------------------------------------------

    async def handle(self, call: Call) -> None:
        for name, *details in self.programs.pop() if self.programs else []:
            with contextlib.suppress(RelayError, TimeoutError):
                await getattr(self, f"program_{name}", self.ask)(call, *details or [name])

    async def ask(self, call: Call, name: str) -> None:
        await getattr(call, name)()

    async def start(self, call: Call, verb: str, *args: Any, control_id: str | None) -> None:
        number = next(self.numbers)

        def ended(_: RelayEvent) -> None:
            self.ends[number] += 1

        self.actions[number] = await getattr(call, verb)(*args, control_id=control_id, on_completed=ended)

    async def program_play(self, call: Call, control_id: str | None) -> None:
        await self.start(call, "play_silence", 1, control_id=control_id)

    async def program_record(self, call: Call, control_id: str | None) -> None:
        await self.start(call, "record", control_id=control_id)

    async def program_wait(self, _: Call, timeout: float | None) -> None:
        if self.actions:
            await self.actions[max(self.actions)].wait(timeout)

    async def program_wait_for(self, call: Call, timeout: float | None) -> None:
        await call.wait_for("custom", timeout=timeout)

    async def program_stop(self, _: Call, *__: Any) -> None:
        if self.actions:
            await self.actions[min(self.actions)].stop()

    async def program_dial(self, *_: Any) -> None:
        await self.client.dial([[PHONE]], dial_timeout=10)

    async def program_message(self, _: Call, timeout: float | None) -> None:
        message = await self.client.send_message(to_number="+1", from_number="+2", body="hello")
        await message.wait(timeout)

    async def program_receive(self, _: Call, more: bool) -> None:
        await (self.client.receive if more else self.client.unreceive)(["office"])

    async def program_sleep(self, _: Call, seconds: float) -> None:
        await asyncio.sleep(seconds)

    # --- the server ---------------------------------------------------------------------------------------------

    async def do_begin(self) -> None:
        self.serving = asyncio.create_task(serve(self.client, DRAIN_S))
        await asyncio.sleep(0.05)

    async def do_offer(self, program: list[tuple[Any, ...]]) -> None:
        self.programs.append(program)
        try:
            await self.node.offer()
        except OffhookError:  # nobody there
            self.programs.remove(program)

    async def do_pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def do_drop(self) -> None:
        await self.node.drop()

    async def do_freeze(self) -> None:
        self.node.freeze()

    async def do_away(self, is_away: bool) -> None:
        self.node.is_away = is_away
        if is_away:
            await self.node.drop()

    async def do_refuse(self, code: int | None) -> None:
        self.node.refuses = code

    async def do_restart(self, restart: bool) -> None:
        await self.node.disconnect(restart=restart)

    async def do_forget(self) -> None:
        self.node.forget()

    async def do_truncate(self, says_what_lives: bool) -> None:
        await self.node.truncate(says_what_lives=says_what_lives)

    async def do_garbage(self, text: str | bytes) -> None:
        await self.node.say(text)

    async def do_ping(self) -> None:
        await self.node.ping()

    async def do_mute(self, method: str) -> None:
        self.node.mute(method)

    async def do_unmute(self) -> None:
        self.node.unmute()

    async def do_finish(self) -> None:
        for call in list(self.node.calls.values()):
            for control_id in list(call.open):
                await call.finish(control_id)
        await self.node.end_messages()

    async def do_hang_up(self) -> None:
        for call in list(self.node.calls.values()):
            if call.state is not CallState.ENDED:
                await call.hangup()

    # --- what must hold -----------------------------------------------------------------------------------------

    async def play(self, story: list[tuple[Any, ...]], signals: int, number: signal.Signals) -> None:
        loop = asyncio.get_running_loop()
        async with self.node:
            before = asyncio.all_tasks()
            self.client = RelayClient("project", "token", self.node.host, ["default"], drain_timeout=DRAIN_S)
            self.client.on_call(self.handle)
            for name, *details in story:
                await getattr(self, f"do_{name}")(*details)
                await asyncio.sleep(0.01)
            serving = self.serving
            asked_at = loop.time()
            for _ in range(signals):
                if not serving.done():
                    signal.raise_signal(number)
                    await asyncio.sleep(0.01)
            done, _ = await asyncio.wait({serving}, timeout=60)
            took_s = loop.time() - asked_at
            assert done, "it ends"
            assert took_s <= (AT_MOST_S if signals == 1 else AT_ONCE_S)
            error = serving.exception()
            assert error is None or isinstance(error, RelayError), error
            self.check()
            await self.node.drop()
            await asyncio.sleep(5)  # what the node does on its side
            ours = {task for task in asyncio.all_tasks() - before if task.get_name().startswith("offhook")}
            assert ours == set(), "no task is left"

    def check(self) -> None:
        for number, action in self.actions.items():
            assert action.is_over
            assert self.ends[number] == 1, "each action ends once"
        assert all(count == 1 for count in self.ends.values())
        assert self.client.calls == []
        assert self.client._tasks.failures == 0
        assert self.client._tasks.running(frozenset({"on_completed", "on_call handler"})) == []


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The log of hundreds of stories is of no use, and signals go to nobody else."""
    logs = [logging.getLogger(name) for name in ("offhook.client", "offhook", "asyncio", "aiohttp")]
    levels = [log.level for log in logs]
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for log in logs:
        log.setLevel(logging.CRITICAL)
    yield
    for log, level in zip(logs, levels, strict=True):
        log.setLevel(level)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.sampled_from([*[[]] * 9, [("away", True)], [("refuse", -32004)], [("refuse", -32002)]]),
    st.lists(program_step, min_size=3, max_size=6),
    st.lists(server_step, min_size=5, max_size=25),
    st.sampled_from(
        [
            *([], [], [("away", True)], [("freeze",)], [("drop",)]),
            *([("refuse", -32004), ("drop",)], [("mute", "signalwire.unreceive")], [("forget",)]),
        ]
    ),
    st.sampled_from([1, 1, 2]),
    st.sampled_from([signal.SIGINT, signal.SIGTERM]),
)
def test_a_program_ends_when_it_is_asked_to_whatever_its_server_does(
    before: list[tuple[Any, ...]],
    program: list[tuple[Any, ...]],
    story: list[tuple[Any, ...]],
    at_last: list[tuple[Any, ...]],
    signals: int,
    number: signal.Signals,
) -> None:
    whole = [*before, ("begin",), ("offer", [("play", "prompt"), *program]), *story, *at_last]
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(Story().play(whole, signals, number))
