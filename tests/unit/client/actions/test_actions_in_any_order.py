"""Any order of events, refusals, stops, cancels and endings: each action ends once, and no task is left."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.calls.call import Call
from offhook.client.events import RelayEvent, parse_event
from offhook.client.listening.tasks import Tasks
from offhook.errors import RelayError
from offhook.protocol.frames import EventParams
from offhook.testing.clock import VirtualClockLoop

Step = tuple[Any, ...]

VERBS = ["play", "record", "collect", "play_and_collect"]
NOISE = [
    {"state": "playing"},
    {"state": "paused"},
    {"state": "recording"},
    {"state": "collecting", "final": False, "result": {"type": "speech", "params": {"text": "I"}}},
    {"result": {"type": "start_of_input"}},
    {},
]
ENDS = [{"state": "finished"}, {"state": "error"}, {"result": {"type": "digit"}}, {"result": {"type": "no_input"}}]
TYPES = ["calling.call.play", "calling.call.record", "calling.call.collect"]

which = st.integers(0, 3)
starts = st.tuples(st.just("start"), st.sampled_from(VERBS), st.booleans())
accepts = st.tuples(st.just("reply"), which, st.just(200))
steps = st.one_of(
    starts,
    accepts,
    st.tuples(st.just("event"), which, st.sampled_from(TYPES), st.sampled_from(NOISE + ENDS)),
    st.tuples(st.just("reply"), which, st.sampled_from([200, 400, 404, 409, 410, -1])),
    st.tuples(st.just("stop"), which),
    st.tuples(st.just("wait"), which, st.sampled_from([None, 0.5])),
    st.tuples(st.just("cancel"), which),
    st.tuples(st.just("state"), st.sampled_from(["ringing", "answered", "ending", "ended"])),
    st.tuples(
        st.just("pass"),
    ),
    st.tuples(
        st.just("close"),
    ),
    st.tuples(st.just("time"), st.sampled_from([0.1, 1.0, 5.0])),
)


class Wire:
    """What a call needs of its client: requests wait for the reply that the story gives them."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.asked: list[asyncio.Future[dict[str, Any]]] = []
        self.over = 0

    async def execute(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.asked.append(reply)
        return await reply

    def call_over(self, call: CallBase) -> None:
        self.over += 1


class Story:
    """Plays the steps on one call and checks what must hold."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.call = Call(self.wire, event("calling.call.receive", call_id="c", node_id="n", call_state="created"))
        self.controls: list[str] = []
        self.starting: list[asyncio.Task[Action]] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.completed: list[str] = []

    def start(self, verb: str, waits: bool) -> None:
        control_id = f"k{len(self.controls)}"
        self.controls.append(control_id)
        asking = {
            "play": ([{"type": "silence", "params": {"duration": 1}}],),
            "record": (),
            "collect": (),
            "play_and_collect": ([{"type": "silence", "params": {"duration": 1}}], {"digits": {"max": 1}}),
        }[verb]

        async def ask() -> Action:
            action: Action = await getattr(self.call, verb)(
                *asking, control_id=control_id, on_completed=lambda _: self.completed.append(control_id)
            )
            if waits:
                await action.wait()
            return action

        self.starting.append(asyncio.create_task(ask()))

    async def play(self, story: list[Step]) -> None:
        for step in story:
            self.step(*step)
            await asyncio.sleep(step[1] if step[0] == "time" else 0)
            self.check()
        for reply in self.wire.asked:
            if not reply.done():
                reply.set_exception(RelayError(-1, "closed"))
        await settle()
        self.call.close("closed")
        await settle()
        for task in (*self.starting, *self.tasks):
            assert task.done(), task
        results = await asyncio.gather(*self.starting, *self.tasks, return_exceptions=True)
        for result in results:
            assert not isinstance(result, Exception) or isinstance(result, RelayError | TimeoutError), result
        for result in results:
            assert not isinstance(result, Action) or result.is_done
        self.check()
        started = [action.control_id for action in results if isinstance(action, Action)]
        assert set(started) <= set(self.completed)
        assert self.wire.over == 1
        assert self.wire.tasks.failures == 0

    def check(self) -> None:
        assert len(self.completed) == len(set(self.completed)), "on_completed fires once"
        assert self.wire.over <= 1

    def step(self, name: str, *details: Any) -> None:
        getattr(self, f"do_{name}")(*details)

    def do_start(self, verb: str, waits: bool) -> None:
        self.start(verb, waits)

    def do_event(self, number: int, event_type: str, params: dict[str, Any]) -> None:
        if self.call.state != "ended":
            self.call.handle(event(event_type, call_id="c", control_id=f"k{number}", **params))

    def do_reply(self, number: int, code: int) -> None:
        if number < len(self.wire.asked) and not self.wire.asked[number].done():
            if code == 200:
                self.wire.asked[number].set_result({"code": "200"})
            else:
                self.wire.asked[number].set_exception(RelayError(code, "refused"))

    def _action(self, number: int) -> Action | None:
        if number < len(self.starting) and self.starting[number].done() and not self.starting[number].cancelled():
            return None if self.starting[number].exception() else self.starting[number].result()
        return None

    def do_stop(self, number: int) -> None:
        if (action := self._action(number)) is not None:
            self.tasks.append(asyncio.create_task(action.stop()))

    def do_wait(self, number: int, timeout: float | None) -> None:
        if (action := self._action(number)) is not None:
            self.tasks.append(asyncio.create_task(action.wait(timeout)))

    def do_cancel(self, number: int) -> None:
        if number < len(self.starting):
            self.starting[number].cancel()
        if number < len(self.tasks):
            self.tasks[number].cancel()

    def do_state(self, state: str) -> None:
        if self.call.state != "ended":
            self.call.handle(event("calling.call.state", call_id="c", node_id="n", call_state=state))

    def do_pass(self) -> None:
        self.tasks.append(asyncio.create_task(self.call.pass_()))

    def do_close(self) -> None:
        self.call.close("closed")

    def do_time(self, seconds: float) -> None:
        """The sleep in ``play`` lets it pass."""


def event(event_type: str, **params: Any) -> RelayEvent:
    return parse_event(EventParams(event_type=event_type, params=params))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@settings(max_examples=500)
@given(st.lists(starts | accepts, max_size=8), st.lists(steps, max_size=30))
def test_each_action_ends_once_whatever_happens(beginning: list[Step], story: list[Step]) -> None:
    async def tell() -> None:
        await Story().play([*beginning, *story])
        assert asyncio.all_tasks() == {asyncio.current_task()}, "no task is left"

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(tell())
