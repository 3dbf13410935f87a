"""Messages: what is sent, how it went, what comes in; and that the node says clearly that it has no carrier."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from offhook.client.app.relay import RelayClient
from offhook.client.calls.messages import Message
from offhook.client.events import MessageStateEvent, RelayEvent
from offhook.errors import CallerError, RelayError
from offhook.testing.node import ScriptedNode

NUMBERS: dict[str, Any] = {"to_number": "+15550000002", "from_number": "+15550000001"}


async def test_a_message_is_sent_and_its_delivery_awaited(node: ScriptedNode, client: RelayClient) -> None:
    told: list[RelayEvent] = []
    message = await client.send_message(**NUMBERS, body="hi", on_completed=told.append)
    event = await message.wait(5)
    assert isinstance(event, MessageStateEvent)
    assert (message.state, message.is_done, message.result) == ("delivered", True, event)
    assert (message.direction, message.to_number, message.body) == ("outbound", "+15550000002", "hi")
    assert told == [event]


async def test_what_goes_out_is_what_was_given(node: ScriptedNode, client: RelayClient) -> None:
    given: dict[str, Any] = {
        **NUMBERS,
        "context": "office",
        "body": "hi",
        "media": ["https://x.example/a.jpg"],
        "tags": ["a"],
        "tag": "t",
        "region": "eu",
        "status_callback": "https://x.example",
        "send_as_mms": True,
        "message_type": "whatsapp_media_text",
        "template_id": "i",
        "header_template_parameters": {},
        "body_template_parameters": ["x"],
        "button_template_parameters": [],
    }
    await client.send_message(**given)
    assert await node.until("messaging.send") == given
    await client.send_message(**NUMBERS, body="hi")
    protocol = client._link.session.protocol if client._link else None
    assert await node.until("messaging.send") == {**NUMBERS, "body": "hi", "context": protocol}


async def test_mms_are_done_when_they_are_sent(node: ScriptedNode, client: RelayClient) -> None:
    message = await client.send_message(**NUMBERS, media=["https://x.example/a.jpg"])
    await message.wait(5)
    assert message.state == "sent"


@pytest.mark.parametrize("state", ["undelivered", "failed"])
async def test_a_failure_says_why(node: ScriptedNode, client: RelayClient, state: str) -> None:
    node.hold("messaging.send")
    message = await client.send_message(**NUMBERS, body="hi")
    states: list[str] = []
    remove = message.on(lambda event: states.append(event.params["message_state"]))
    with pytest.raises(TimeoutError):
        await message.wait(0.01)
    await node.end_messages(state, "spam")
    await message.wait(5)
    remove()
    assert (message.state, message.reason, states[-1]) == (state, "spam", state)


async def test_nothing_to_send_is_refused_before_it_is_sent(node: ScriptedNode, client: RelayClient) -> None:
    with pytest.raises(CallerError, match="`body` or `media`"):
        await client.send_message(**NUMBERS)
    assert node.requests == []


async def test_a_node_without_a_carrier_says_so(node: ScriptedNode, client: RelayClient) -> None:
    node.answer("messaging.send", {"code": "501", "message": "this node has no carrier for messages"})
    with pytest.raises(RelayError, match="no carrier") as refused:
        await client.send_message(**NUMBERS, body="hi")
    assert refused.value.code == 501


async def test_messages_come_in(node: ScriptedNode, client: RelayClient) -> None:
    caught: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    @client.on_message
    async def handle(message: Message) -> None:
        caught.set_result(message)

    message_id = await node.message("hello")
    message = await asyncio.wait_for(caught, 30)
    assert (message.message_id, message.body, message.context) == (message_id, "hello", "default")
    assert (message.direction, message.state) == ("inbound", "received")


async def test_a_failing_handler_of_messages_is_logged(
    node: ScriptedNode, client: RelayClient, caplog: pytest.LogCaptureFixture
) -> None:
    caught = asyncio.Event()

    @client.on_message
    async def handle(message: Message) -> None:
        caught.set()
        raise LookupError(message.message_id)

    await node.message("hello")
    await asyncio.wait_for(caught.wait(), 30)
    await client.execute("signalwire.ping", {})
    assert "on_message handler failed" in caplog.text


@pytest.mark.parametrize(("context", "cause"), [("elsewhere", "gone"), ("default", "closed")])
async def test_after_a_fresh_session_messages_of_its_own_context_are_gone(
    node: ScriptedNode, client: RelayClient, context: str, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Those on a context that is subscribed again go on: their states still come."""
    node.hold("messaging.send")
    message = await client.send_message(**NUMBERS, body="hi", context=context)
    with caplog.at_level(logging.ERROR):
        await node.disconnect(restart=True)
        await node.until_connected(2)
        await client.execute("signalwire.ping", {})
    assert message.is_done is (cause == "gone")
    await client.disconnect()
    assert message.result is not None
    assert (message.result.cause, message.result.params) == (cause, {})


async def test_what_a_message_says_is_not_in_its_repr(node: ScriptedNode, client: RelayClient) -> None:
    message = await client.send_message(**NUMBERS, body="secret words")
    assert "secret" not in repr(message)
    assert "555" not in repr(message)
