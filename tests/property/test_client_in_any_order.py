"""Any order of calls, events, drops, resumes, restarts, stops, cancels and endings, on a clock that jumps.

Every action and wait ends once, every event of a session that lives is handled once and in order, nothing is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offhook.client.actions.action import Action
from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from offhook.client.events import RelayEvent
from offhook.errors import RelayError
from offhook.testing.clock import VirtualClockLoop
from rig.memory_node import NODE_ID, MemoryNode
from rig.sdk_commands import ONE_DIGIT, PHONE, TTS

EXAMPLES = 5 * settings().max_examples

SILENCE = {"type": "silence", "params": {"duration": 1}}
VERBS: dict[str, tuple[Any, ...]] = {
    "play": ([TTS],),
    "record": (),
    "play_and_collect": ([SILENCE], ONE_DIGIT),
    "detect": ({"type": "machine"},),
    "send_fax": ("https://x.example/a.pdf",),
    "ai": (),
}
ENDS: list[tuple[str, dict[str, Any]]] = [
    ("calling.call.play", {"state": "finished"}),
    ("calling.call.record", {"state": "no_input"}),
    ("calling.call.collect", {"result": {"type": "digit", "params": {"digits": "1"}}}),
    ("calling.call.detect", {"detect": {"type": "machine", "params": {"event": "HUMAN"}}}),
    ("calling.call.detect", {"detect": {"type": "machine", "params": {"event": "finished"}}}),
    ("calling.call.fax", {"fax": {"type": "finished", "params": {}}}),
    ("calling.call.ai", {"state": "error"}),
    ("calling.call.play", {"state": "playing"}),
    ("calling.call.collect", {"result": {"type": "start_of_input"}}),
]

which = st.integers(0, 3)
step = st.one_of(
    st.tuples(st.just("offer")),
    st.tuples(st.just("start"), which, st.sampled_from(sorted(VERBS))),
    st.tuples(st.just("end"), which, st.sampled_from(ENDS)),
    st.tuples(st.just("count"), which),
    st.tuples(st.just("handle"), st.sampled_from([200, 200, 200, 404, 410, 409, 500])),
    st.tuples(st.just("handle"), st.just(200)),
    st.tuples(st.just("handle"), st.just(-32005)),
    st.tuples(st.just("stop"), which),
    st.tuples(st.just("wait"), which, st.sampled_from([None, 0.5, 30.0])),
    st.tuples(st.just("cancel"), which),
    st.tuples(st.just("state"), which, st.sampled_from(["answered", "ending", "ended"])),
    st.tuples(st.just("hangup"), which),
    st.tuples(st.just("leave"), which),
    st.tuples(st.just("dial")),
    st.tuples(st.just("answer_dial"), st.sampled_from(["answered", "failed"])),
    st.tuples(st.just("cut")),
    st.tuples(st.just("open"), st.sampled_from([False, False, False, True])),
    st.tuples(st.just("open"), st.just(False)),
    st.tuples(st.just("refuse")),
    st.tuples(st.just("restart"), st.booleans()),
    st.tuples(st.just("pass_time"), st.sampled_from([0.1, 1.0, 5.0, 15.0, 40.0])),
)


class Story:
    """Plays steps on one client and checks what must hold."""

    def __init__(self) -> None:
        self.node = MemoryNode()
        self.client = RelayClient("project", "token", "ws://localhost:1", ["default"])
        self.client._make_driver = self.node.make_driver  # type: ignore[method-assign]
        self.client.on_call(self.handle)
        self.calls: list[Call] = []
        self.call_ids: list[str] = []
        self.ended: set[str] = set()
        self.actions: list[Action] = []
        self.completed: list[str] = []
        self.asked: list[asyncio.Task[Any]] = []
        self.waits: list[asyncio.Task[Any]] = []
        self.told: dict[str, int] = {}
        self.seen: dict[str, list[int]] = {}
        self.sessions: dict[str, int] = {}
        self.left = asyncio.Event()
        """A handler had the client leave."""

    async def handle(self, call: Call) -> None:
        self.calls.append(call)
        self.sessions[call.call_id] = self.node.fresh_sessions
        seen = self.seen.setdefault(call.call_id, [])
        call.on("custom", lambda event: seen.append(event.params["number"]))
        call.on("goodbye", self.leave)
        await call.wait_for_ended()

    async def leave(self, _: RelayEvent) -> None:
        await self.client.disconnect()
        self.left.set()

    # --- the steps ------------------------------------------------------------------------------------------

    def do_offer(self) -> None:
        call_id = f"c{len(self.call_ids)}"
        self.call_ids.append(call_id)
        self.node.tell("calling.call.receive", call_id=call_id, call_state="created", direction="inbound")

    def do_start(self, number: int, verb: str) -> None:
        if number >= len(self.calls):
            return
        control_id = f"k{len(self.asked)}"

        async def ask() -> None:
            options: dict[str, Any] = {"prompt": {"text": "be kind"}} if verb == "ai" else {}
            action = await getattr(self.calls[number], verb)(
                *VERBS[verb],
                **options,
                control_id=control_id,
                on_completed=self.completer(control_id, slow=number % 2 == 1),
            )
            self.actions.append(action)
            assert action.accepted or action.is_done, "what the server does not know has ended"

        self.asked.append(asyncio.create_task(ask()))

    def completer(self, control_id: str, *, slow: bool) -> Callable[[RelayEvent], Any]:
        """A callback, sync or one that takes its time, also when the client leaves."""

        async def later(event: RelayEvent) -> None:
            await asyncio.sleep(0.5)
            self.completed.append(control_id)

        return later if slow else lambda event: self.completed.append(control_id)

    def do_end(self, number: int, event: tuple[str, dict[str, Any]]) -> None:
        for call in self.calls:
            self.tell(call.call_id, event[0], control_id=f"k{number}", **event[1])

    def do_count(self, number: int) -> None:
        if number < len(self.calls):
            call_id = self.calls[number].call_id
            if call_id not in self.ended and not self.is_lost(call_id):
                self.told[call_id] = self.told.get(call_id, 0) + 1
                self.tell(call_id, "custom", number=self.told[call_id])

    def do_handle(self, code: int) -> None:
        self.node.handle(code)

    def do_stop(self, number: int) -> None:
        if number < len(self.actions):
            self.asked.append(asyncio.create_task(self.actions[number].stop()))

    def do_wait(self, number: int, timeout: float | None) -> None:
        if number < len(self.actions):
            self.waits.append(asyncio.create_task(self.actions[number].wait(timeout)))
        if number < len(self.calls):
            self.waits.append(asyncio.create_task(self.calls[number].wait_for("custom", timeout=timeout)))

    def do_cancel(self, number: int) -> None:
        for tasks in (self.asked, self.waits):
            if number < len(tasks):
                tasks[number].cancel()

    def do_state(self, number: int, state: str) -> None:
        if number < len(self.call_ids):
            self.tell(self.call_ids[number], "calling.call.state", call_state=state)
            if state == "ended":
                self.ended.add(self.call_ids[number])

    def do_hangup(self, number: int) -> None:
        if number < len(self.calls):
            self.asked.append(asyncio.create_task(self.calls[number].hangup()))

    def do_leave(self, number: int) -> None:
        if number < len(self.calls):
            self.ended.add(self.calls[number].call_id)
            self.asked.append(asyncio.create_task(self.calls[number].pass_()))

    def do_dial(self) -> None:
        tag = f"t{len(self.asked)}"
        self.asked.append(asyncio.create_task(self.client.dial([[PHONE]], tag=tag, dial_timeout=20.0)))

    def do_answer_dial(self, state: str) -> None:
        for number in range(len(self.asked)):
            leg = {"call_id": f"leg{number}", "node_id": NODE_ID, "tag": f"t{number}", "call_state": "answered"}
            more: dict[str, Any] = {"call": leg} if state == "answered" else {"reason": "busy"}
            self.node.tell("calling.call.dial", tag=f"t{number}", dial_state=state, **more)

    def do_cut(self) -> None:
        self.node.cut()

    def do_open(self, forget: bool) -> None:
        self.node.open(forget=forget)

    def do_refuse(self) -> None:
        self.node.refuse_socket()

    def do_restart(self, restart: bool) -> None:
        self.node.order_restart(restart=restart)

    def do_pass_time(self, seconds: float) -> None:
        """The sleep after the step lets it pass."""

    # --- what must hold -------------------------------------------------------------------------------------

    def tell(self, call_id: str, event_type: str, **params: Any) -> None:
        if call_id not in self.ended:
            self.node.tell(event_type, call_id=call_id, **params)

    def is_lost(self, call_id: str) -> bool:
        """Its session is gone."""
        return self.sessions.get(call_id) != self.node.fresh_sessions

    def check(self) -> None:
        assert len(self.completed) == len(set(self.completed)), "on_completed fires once"
        for seen in self.seen.values():
            assert seen == list(range(1, len(seen) + 1)), "events come once and in order"
        if self.client.is_connected:
            alive = {call.call_id for call in self.client.calls} & self.sessions.keys()
            assert not {call_id for call_id in alive if self.is_lost(call_id)}, "calls of a lost session are gone"

    async def play(self, story: list[tuple[Any, ...]], goodbye: str) -> None:
        connecting = asyncio.create_task(self.client.connect())
        await asyncio.sleep(0)
        self.node.open(forget=False)
        await connecting
        for name, *details in story:
            getattr(self, f"do_{name}")(*details)
            await asyncio.sleep(details[0] if name == "pass_time" else 0)
            self.check()
        await self.bring_in_what_was_told()
        await self.say_goodbye(goodbye)
        for _ in range(5):
            await asyncio.sleep(0)
        results = await asyncio.gather(*self.asked, *self.waits, return_exceptions=True)
        self.check_the_end(results, in_a_hurry=goodbye == "at once")

    async def say_goodbye(self, how: str) -> None:
        """The program leaves, with time for what runs or without; or a handler of a call has it leave."""
        mine = [call for call in self.client.calls if call in self.calls and not self.is_lost(call.call_id)]
        if how == "by a handler" and self.client.is_connected and mine:
            self.node.tell("goodbye", call_id=mine[0].call_id)
            await self.left.wait()
        else:
            await self.client.disconnect(0 if how == "at once" else None)

    async def bring_in_what_was_told(self) -> None:
        """Let the client come back, if it is away: what was told in its session arrives."""
        for _ in range(3):
            await asyncio.sleep(40)
            self.node.open(forget=False)
        for _ in range(5):
            await asyncio.sleep(0)
        for call in self.calls:
            if not self.is_lost(call.call_id) and self.client._calls.find_call(call.call_id) is call:
                assert len(self.seen[call.call_id]) == self.told.get(call.call_id, 0), "no event is lost"

    def check_the_end(self, results: list[Any], *, in_a_hurry: bool) -> None:
        self.check()
        for result in results:
            assert not isinstance(result, Exception) or isinstance(result, RelayError | TimeoutError), result
        for action in self.actions:
            assert isinstance(action.result, RelayEvent)
            assert action.is_over
            assert self.completed.count(action.control_id) == 1 or in_a_hurry
        assert self.client.calls == []
        assert self.client._tasks.failures == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}, "no task is left"


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """The log of five hundred stories is of no use."""
    log = logging.getLogger("offhook.client")
    level = log.level
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(level)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(step, max_size=40), st.sampled_from(["in time", "at once", "by a handler"]))
def test_all_ends_once_and_nothing_is_left(story: list[tuple[Any, ...]], goodbye: str) -> None:
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(Story().play([("offer",), *story], goodbye))
