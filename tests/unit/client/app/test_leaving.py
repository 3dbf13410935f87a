"""A client leaves: what runs may finish for a time, what is open ends, nothing is left. On a clock that jumps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from offhook.client.actions.action import Action
from offhook.client.app.relay import RelayClient
from offhook.client.app.serving import serve
from offhook.client.calls.call import Call
from offhook.client.events import RelayEvent
from rig.memory_node import MemoryNode

pytestmark = pytest.mark.virtual_clock


class Stage:
    """A client, connected to a node in memory that takes every request, and a call on it."""

    def __init__(self, **settings: Any) -> None:
        self.node = MemoryNode()
        self.client = RelayClient("project", "token", "ws://localhost:1", ["default"], **settings)
        self.client._make_driver = self.node.make_driver  # type: ignore[method-assign]
        self.is_mute = False
        self.said: list[str] = []
        self.call: asyncio.Future[Call] = asyncio.get_running_loop().create_future()

    async def take_requests(self) -> None:
        while True:
            self.node.open(forget=False)
            while self.node.inbox and not self.is_mute:
                self.node.handle(200)
            await asyncio.sleep(0.01)

    async def offer(self, call_id: str = "c1") -> None:
        self.node.tell("calling.call.receive", call_id=call_id, call_state="created", direction="inbound")
        await asyncio.sleep(0)

    async def take_call(self, handler: Callable[[Call], Any] | None = None) -> Call:
        """Have a call, and a handler that does no more with it unless there is another."""

        @self.client.on_call
        async def handle(call: Call) -> None:
            self.call.set_result(call)
            if handler is not None:
                await handler(call)

        await self.offer()
        return await self.call

    async def play(self, on_completed: Callable[[RelayEvent], Any]) -> Action:
        call = await self.call
        return await call.play_silence(1, control_id="k1", on_completed=on_completed)

    def finish(self) -> None:
        self.node.tell("calling.call.play", call_id="c1", control_id="k1", state="finished")

    async def slowly(self, event: RelayEvent) -> None:
        """A callback that takes two seconds, and a request."""
        self.said.append(f"began {event.cause or event.params.get('state')}")
        await asyncio.sleep(2)
        outcome = await (await self.call).hangup()
        self.said.append(f"hung up {outcome.get('code')}")

    async def never_done(self, _: object) -> None:
        try:
            await asyncio.sleep(10_000)
        finally:
            self.said.append("cancelled")


@asynccontextmanager
async def staged(**settings: Any) -> AsyncIterator[Stage]:
    stage = Stage(**settings)
    requests = asyncio.create_task(stage.take_requests())
    await stage.client.connect()
    try:
        yield stage
        await stage.client.disconnect()
    finally:
        requests.cancel()
        await asyncio.gather(requests, return_exceptions=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}, "no task is left"
    assert stage.client._tasks.failures == 0


@asynccontextmanager
async def taking(at_least_s: float, at_most_s: float) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    yield
    assert at_least_s - 0.001 <= loop.time() - began <= at_most_s


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_callback_that_began_a_moment_before_finishes_with_its_call_still_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with staged() as stage:
        await stage.take_call()
        await stage.play(stage.slowly)
        stage.finish()
        await stage.client.disconnect()
        assert stage.said == ["began finished", "hung up 200"]
        assert stage.node.done[-1] == "calling.end"
    assert lines(caplog) == []


async def test_an_async_handler_of_an_event_finishes_too() -> None:
    async with staged() as stage:
        (await stage.take_call()).on("custom", stage.slowly)
        stage.node.tell("custom", call_id="c1", state="once")
        await stage.client.disconnect()
        assert stage.said == ["began once", "hung up 200"]


async def test_a_callback_that_the_end_of_the_client_calls_finishes(caplog: pytest.LogCaptureFixture) -> None:
    async with staged() as stage:
        await stage.take_call()
        await stage.play(stage.slowly)
        async with taking(2, 2.2):
            await stage.client.disconnect()
        assert stage.said == ["began closed", "hung up None"], "nothing is sent for a call that the client has closed"
    assert lines(caplog) == []


async def test_a_handler_hears_that_its_call_was_closed_and_finishes() -> None:
    async def handler(call: Call) -> None:
        ended = await call.wait_for_ended()
        await asyncio.sleep(0.5)
        stage.said.append(f"saved {ended.cause}")

    async with staged() as stage:
        await stage.take_call(handler)
        async with taking(0.5, 0.6):
            await stage.client.disconnect()
        assert stage.said == ["saved closed"]


async def test_what_does_not_finish_is_cancelled_and_named_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async with staged() as stage:
        await stage.take_call(stage.never_done)
        await stage.play(stage.never_done)
        stage.finish()
        async with taking(5, 5.1):
            await stage.client.disconnect()
        assert stage.said == ["cancelled", "cancelled"]
    assert lines(caplog) == ["cancelled, since the client left: on_call handler c1, on_completed c1"]


@pytest.mark.parametrize(
    ("given", "asked", "taken_s"), [(30.0, None, 5.0), (0.5, None, 0.5), (0.5, 20.0, 20.0), (30.0, 0.0, 0.0)]
)
async def test_how_long_is_a_setting(given: float, asked: float | None, taken_s: float) -> None:
    async with staged(drain_timeout=given) as stage:
        await stage.take_call()
        await stage.play(stage.never_done)
        async with taking(taken_s, taken_s + 0.1):
            await stage.client.disconnect(asked)
        assert stage.said == ["cancelled"], "also without time it begins"


async def test_a_callback_that_keeps_its_time_leaves_a_second_to_those_that_the_end_calls() -> None:
    async def in_the_last_second(event: RelayEvent) -> None:
        await asyncio.sleep(0.9)
        stage.said.append(f"done {event.cause}")

    async with staged() as stage:
        call = await stage.take_call()
        await stage.play(in_the_last_second)
        call.on("custom", stage.never_done)
        stage.node.tell("custom", call_id="c1")
        async with taking(5, 5.1):
            await stage.client.disconnect()
        assert stage.said == ["done closed", "cancelled"]


async def test_a_callback_may_disconnect_and_waits_neither_for_itself_nor_for_long() -> None:
    async def leave(_: RelayEvent) -> None:
        async with taking(0, 0.1):
            await stage.client.disconnect()
        await asyncio.sleep(1)
        stage.said.append("left")

    async with staged() as stage:
        await stage.take_call()
        await stage.play(leave)
        stage.finish()
        await asyncio.sleep(0.5)
        assert not stage.client.is_connected
        await asyncio.sleep(1)
        assert stage.said == ["left"]


async def test_two_handlers_that_disconnect_do_not_wait_for_each_other() -> None:
    async def leave(_: object) -> None:
        await stage.client.disconnect()
        stage.said.append("left")

    async with staged() as stage:
        call = await stage.take_call()
        for _ in range(2):
            call.on("custom", leave)
        stage.node.tell("custom", call_id="c1")
        await asyncio.sleep(0.1)
        assert stage.said == ["left", "left"]


async def test_disconnect_beside_one_that_is_on_its_way_waits_for_its_end() -> None:
    async with staged() as stage:
        await stage.take_call()
        await stage.play(stage.slowly)
        first = asyncio.create_task(stage.client.disconnect())
        await asyncio.sleep(0.1)
        with pytest.raises(RuntimeError, match="connected already"):
            await stage.client.connect()
        await stage.client.disconnect()
        assert stage.said == ["began closed", "hung up None"]
        await first


async def test_a_task_that_no_longer_waits_for_the_end_has_it_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async with staged() as stage:
        await stage.take_call(stage.never_done)
        with pytest.raises(TimeoutError):
            async with taking(0.5, 0.6), asyncio.timeout(0.5):
                await stage.client.disconnect()
        assert stage.said == ["cancelled"]
        assert not stage.client.is_connected
        assert stage.client.calls == []
        await stage.client.connect()
    assert lines(caplog) == ["cancelled, since the client left: on_call handler c1"]


async def test_a_call_offered_to_a_client_that_leaves_is_passed_on() -> None:
    async with staged() as stage:
        await stage.take_call()
        await stage.play(stage.slowly)
        stage.finish()
        leaving = asyncio.create_task(stage.client.disconnect())
        await asyncio.sleep(0.1)
        await stage.offer("c2")
        await leaving
        assert "calling.pass" in stage.node.done
        await stage.client.connect()
        stage.call = asyncio.get_running_loop().create_future()
        await stage.offer("c3")
        assert (await stage.call).call_id == "c3", "a client that came back takes calls"


async def test_a_handler_whose_request_is_cut_off_by_the_end_is_told_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with staged() as stage:
        stage.is_mute = True
        await stage.take_call(lambda call: call.answer())
        await stage.client.disconnect()
    [line] = lines(caplog)
    assert line.startswith("on_call handler ended with the client (call c1): RELAY error -1: calling.answer")
    assert caplog.records[-1].exc_info is None


async def test_a_client_whose_connection_is_away_leaves_without_waiting_for_requests() -> None:
    async with staged() as stage:
        await stage.take_call()
        await stage.play(stage.slowly)
        stage.finish()
        await asyncio.sleep(0)
        stage.node.cut()
        async with taking(2, 2.1):
            await stage.client.disconnect()
        assert stage.said == ["began finished", "hung up None"]


async def test_a_program_that_loops_on_a_call_that_is_over_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def forever(call: Call) -> None:
        while True:
            await (await call.play_tts("Press 1")).wait()

    async with staged() as stage:
        await stage.take_call(forever)
        await asyncio.sleep(0.1)
        stage.node.tell("calling.call.state", call_id="c1", call_state="ended")
        await asyncio.sleep(60)
        assert (await stage.call)._asked_after < 1_000
    told, cancelled = lines(caplog)
    assert told.startswith("a program goes on with a call that is over")
    assert cancelled == "cancelled, since the client left: on_call handler c1"


async def test_so_does_one_that_waits_for_events_of_a_call_that_is_over() -> None:
    async def forever(call: Call) -> None:
        while True:
            await call.wait_for("custom")

    async with staged() as stage:
        await stage.take_call(forever)
        stage.node.tell("calling.call.state", call_id="c1", call_state="ended")
        await asyncio.sleep(60)
        assert (await stage.call)._asked_after < 1_000


async def test_handlers_of_calls_and_of_messages_are_what_run_waits_for() -> None:
    async with staged(drain_timeout=0.0) as stage:
        stage.client.on_message(stage.never_done)
        await stage.take_call(stage.never_done)
        stage.node.tell("messaging.receive", message_id="m1", message_state="received")
        names = {task.get_name() for task in stage.client.handling}
    assert names == {"offhook: on_call handler c1", "offhook: on_message handler m1"}


class Served:
    """What ``run`` serves: a client whose handlers and callbacks take their time, asked to stop at once."""

    def __init__(self, handler_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.handling = [asyncio.create_task(asyncio.sleep(handler_s), name="offhook: on_call handler c1")]
        self.stopped: asyncio.Future[Any] = loop.create_future()
        self.stopped.set_result(None)
        self.had_s: float | None = None

    async def connect(self) -> None:
        """It is connected."""

    async def stop_receiving(self) -> None:
        """It takes no more calls."""

    async def disconnect(self, drain_timeout: float | None = None) -> None:
        self.had_s = drain_timeout


@pytest.mark.parametrize(("handler_s", "left_s"), [(2.0, 8.0), (9.5, 1.0), (60.0, 1.0)])
async def test_run_leaves_callbacks_what_handlers_left_of_the_time_and_never_less_than_a_second(
    handler_s: float, left_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    served = Served(handler_s)
    await serve(served, 10.0)
    assert served.had_s == pytest.approx(left_s)
    [handler] = served.handling
    assert handler.cancelled() == (handler_s > 10)
    assert lines(caplog) == ["cancelled, since it took too long: on_call handler c1"] * (handler_s > 10)


class Away(Served):
    """One whose node does not answer."""

    async def stop_receiving(self) -> None:
        await asyncio.sleep(10_000)


@pytest.mark.parametrize(("handler_s", "left_s"), [(0.0, 9.0), (2.0, 8.0), (60.0, 1.0)])
async def test_run_waits_a_second_at_most_for_a_node_that_does_not_hear_that_no_more_calls_are_taken(
    handler_s: float, left_s: float
) -> None:
    served = Away(handler_s)
    await serve(served, 10.0)
    assert served.had_s == pytest.approx(left_s)


async def test_a_program_that_ends_passes_on_what_is_offered_meanwhile() -> None:
    async with staged() as stage:
        await stage.take_call(stage.never_done)
        await stage.client.stop_receiving()
        await stage.offer("c2")
        await asyncio.sleep(0.1)
        assert "calling.pass" in stage.node.done
        assert [call.call_id for call in stage.client.calls] == ["c1"]
