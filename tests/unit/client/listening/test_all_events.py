"""``client.on``: what a client hears, also what is about no call of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from offhook import ConferenceEvent, RelayEvent, TaskEvent, UserEvent
from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from rig.memory_node import MemoryNode

pytestmark = pytest.mark.virtual_clock


class Stage:
    """A connected client, and what its handlers were told."""

    def __init__(self) -> None:
        self.node = MemoryNode()
        self.client = RelayClient("project", "token", "ws://localhost:1", ["default"])
        self.client._make_driver = self.node.make_driver  # type: ignore[method-assign]
        self.told: list[RelayEvent] = []

    async def connect(self) -> None:
        connecting = asyncio.create_task(self.client.connect())
        await asyncio.sleep(0)
        self.node.open(forget=False)
        await connecting

    def post(self, envelope: dict[str, Any]) -> None:
        """An event whose envelope is of its own kind."""
        assert self.node.driver is not None
        self.node.driver.feed({"id": "e", "method": "signalwire.event", "params": envelope})


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    await stage.connect()
    yield stage
    await stage.client.disconnect(0)


async def test_a_task_comes_with_its_body_and_context(stage: Stage) -> None:
    """There was no way to get one."""
    stage.client.on("queuing.relay.tasks", stage.told.append)
    stage.post({"event_type": "queuing.relay.tasks", "context": "office", "message": {"job": "42"}, "timestamp": 1})
    [task] = stage.told
    assert isinstance(task, TaskEvent)
    assert (task.params, task.context, task.timestamp) == ({"job": "42"}, "office", 1)


async def test_what_a_conference_as_such_tells_comes(stage: Stage) -> None:
    stage.client.on("calling.conference", stage.told.append)
    for status in ("conference-start", "record-stop", "conference-end"):
        stage.node.tell("calling.conference", conference_id="d02c", name="sales", status=status, size=1)
    assert [event.status for event in stage.told if isinstance(event, ConferenceEvent)] == [
        *("conference-start", "record-stop", "conference-end")
    ]


async def test_what_applications_say_of_calls_of_others_comes(stage: Stage) -> None:
    stage.client.on("calling.user_event", stage.told.append)
    stage.node.tell("calling.user_event", call_id="somebody else's", topic="order", order_id="12345")
    [event] = stage.told
    assert isinstance(event, UserEvent)
    assert (event.topic, event.params["order_id"]) == ("order", "12345")
    assert stage.client.calls == [], "that makes it no call of ours"


async def test_events_of_our_calls_come_after_the_calls_own_handlers_had_them(stage: Stage) -> None:
    order: list[str] = []

    @stage.client.on_call
    async def handle(call: Call) -> None:
        call.on("calling.conference", lambda _: order.append("call"))
        await call.wait_for_ended()

    remove = stage.client.on("calling.conference", lambda _: order.append("client"))
    stage.node.tell("calling.call.receive", call_id="c1", call_state="created", direction="inbound")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stage.node.tell("calling.conference", call_id="c1", status="participant-join")
    assert order == ["call", "client"]
    remove()
    remove()
    stage.node.tell("calling.conference", call_id="c1", status="participant-leave")
    assert order == ["call", "client", "call"]


async def test_handlers_run_in_order_and_their_failures_leave_others_alone(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def slowly(event: RelayEvent) -> None:
        stage.told.append(event)
        await asyncio.sleep(1)
        raise ValueError("no such order")

    stage.client.on("calling.user_event", slowly)
    stage.client.on("calling.user_event", stage.told.append)
    for number in range(2):
        stage.node.tell("calling.user_event", call_id=f"c{number}")
    await asyncio.sleep(2)
    assert [event.call_id for event in stage.told] == ["c0", "c0", "c1", "c1"]
    failed = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert failed == [f"handler of calling.user_event failed (call c{number})" for number in range(2)]


async def test_unknown_types_and_messages_come_too(stage: Stage) -> None:
    for kind in ("calling.telepathy", "messaging.state"):
        stage.client.on(kind, stage.told.append)
    stage.node.tell("calling.telepathy")
    stage.node.tell("messaging.state", message_id="m1", message_state="sent")
    assert [event.event_type for event in stage.told] == ["calling.telepathy", "messaging.state"]


async def test_a_handler_registered_before_the_client_connects_stays_through_reconnects(stage: Stage) -> None:
    await stage.client.disconnect()
    stage.client.on("queuing.relay.tasks", stage.told.append)
    for number in range(2):
        await stage.connect()
        stage.post({"event_type": "queuing.relay.tasks", "message": {"job": number}})
        await stage.client.disconnect()
    assert [event.params["job"] for event in stage.told] == [0, 1]
