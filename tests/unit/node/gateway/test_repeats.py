"""node/gateway/repeats: a command sent again under a new id after a lost connection has one effect."""

from __future__ import annotations

import pytest

from offhook.node.calls.ports import Client, OutgoingEvent

SAME = {"play": [{"type": "silence", "params": {"duration": 1}}]}


def finished(call_id: str, control_id: str = "k") -> OutgoingEvent:
    params = {"node_id": "node-1", "call_id": call_id, "control_id": control_id, "state": "finished"}
    return OutgoingEvent("calling.call.play", params, call_id=call_id)


async def played(node, client) -> dict:
    """A play on a call of this client that has ended; its reply."""
    node.desk.assign("call", Client(client.hello["protocol"]))
    reply = await client.command("calling.play", "call", control_id="k", **SAME)
    node.outbox.emit(finished("call"))
    await client.event("calling.call.play")
    return reply


async def test_what_ended_unknown_to_the_client_is_answered_again_on_its_next_connection(node):
    async with node.client() as client:
        client.acks = False
        first = await played(node, client)
        protocol = client.hello["protocol"]
    async with node.client(protocol=protocol) as client:
        client.acks = False
        assert await client.command("calling.play", "call", "new-id", control_id="k", **SAME) == first
        assert await client.command("calling.play", "call", "new-id", control_id="k", **SAME) == first
        assert (await client.event("calling.call.play"))["params"]["params"]["state"] == "finished"
    assert node.runner.methods() == ["calling.play"]


@pytest.mark.parametrize("acks", [True, False])
async def test_on_the_same_connection_it_is_a_new_action(node, acks):
    async with node.client() as client:
        client.acks = acks
        await played(node, client)
        await client.command("calling.play", "call", control_id="k", **SAME)
    assert node.runner.methods() == ["calling.play"] * 2


async def test_a_client_that_knows_the_end_begins_a_new_action(node):
    async with node.client() as client:
        await played(node, client)
        await client.request("signalwire.ping", {})
        protocol = client.hello["protocol"]
    async with node.client(protocol=protocol) as client:
        await client.command("calling.play", "call", control_id="k", **SAME)
    assert node.runner.methods() == ["calling.play"] * 2


async def test_other_params_are_a_new_action(node):
    async with node.client() as client:
        client.acks = False
        await played(node, client)
        protocol = client.hello["protocol"]
    async with node.client(protocol=protocol) as client:
        client.acks = False
        await client.command("calling.play", "call", control_id="k", volume=3.0, **SAME)
    assert node.runner.methods() == ["calling.play"] * 2


async def test_a_dial_that_failed_unheard_is_not_dialled_twice(node):
    async with node.client() as client:
        client.acks = False
        protocol = client.hello["protocol"]
        first = await client.command("calling.dial", "", tag="t", devices=[])
        event = OutgoingEvent("calling.call.dial", {"tag": "t", "dial_state": "failed"}, session=protocol, tag="t")
        node.outbox.emit(event)
        await client.event("calling.call.dial")
    async with node.client(protocol=protocol) as client:
        client.acks = False
        assert await client.command("calling.dial", "", tag="t", devices=[]) == first
    assert node.runner.methods() == ["calling.dial"]


async def test_a_pause_and_its_like_are_no_start_and_leave_the_start_known(node):
    """A pause took the place of the play that it paused: a play repeated after a lost connection ran twice."""
    async with node.client() as client:
        client.acks = False
        protocol = client.hello["protocol"]
        node.desk.assign("call", Client(protocol))
        first = await client.command("calling.play", "call", control_id="k", **SAME)
        await client.command("calling.play.volume", "call", control_id="k", volume=3.0)
        await client.command("calling.play.stop", "call", control_id="k")
        node.outbox.emit(finished("call"))
        await client.event("calling.call.play")
    async with node.client(protocol=protocol) as client:
        client.acks = False
        assert await client.command("calling.play", "call", "new-id", control_id="k", **SAME) == first
    assert node.runner.methods().count("calling.play") == 1
