"""``calling.accept`` on the node, seen by a SIP caller, and by the phone of ``offhook.testing``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from offhook import Call, RelayClient
from offhook.testing.phone import CallFailed, Phone
from rig.dialog import Caller
from rig.fixtures import Callers, offer
from rig.node import NodeProcess
from rig.relay import RelayPeer
from rig.sip import SipMessage, assert_helpful
from rig.sipp import run_sipp

WITHIN_S = 30.0


async def rings(caller: Caller) -> SipMessage:
    return await caller.sip.expect(lambda m: m.status == 180, WITHIN_S, "180")


def answers(caller: Caller) -> list[int]:
    """Statuses of the responses to the INVITE, in the order in which they came; each once."""
    return list(dict.fromkeys(m.status for m in caller.sip.inbox if m.status and m.method == "INVITE"))


async def test_a_caller_hears_ringing_before_the_program_answers(callers: Callers, relay: RelayPeer) -> None:
    caller = await callers()
    call = await offer(caller, relay)
    await relay.command(call, "accept")
    ringing = await rings(caller)
    assert ringing.get("To").count("tag=") == 1, "an early dialog"
    assert not ringing.body
    told = await relay.state(call, "ringing")
    assert told.params["answer_time"] == 0
    await relay.command(call, "accept")
    await relay.command(call, "answer")
    await caller.accept()
    assert [status for status in answers(caller) if status != 100] == [180, 200]
    late = await relay.command(call, "accept", code="409")
    assert "answered already" in late["message"]
    await relay.command(call, "end")
    await caller.ended_by_node()
    await relay.state(call, "ended")
    states = [e.state for e in relay.of_call(call.call_id) if e.type == "calling.call.state"]
    assert states == ["ringing", "answered", "ending", "ended"]


async def test_early_media_is_501_and_the_caller_hears_nothing_of_it(callers: Callers, relay: RelayPeer) -> None:
    caller = await callers()
    call = await offer(caller, relay)
    refused = await relay.command(call, "accept", code="501", early_media=True)
    assert "`early_media`" in refused["message"]
    await relay.command(call, "answer")
    await caller.accept()
    assert 183 not in answers(caller)
    await caller.bye()
    await relay.state(call, "ended")


async def test_the_application_hangs_up_a_call_that_rings(callers: Callers, relay: RelayPeer) -> None:
    caller = await callers()
    call = await offer(caller, relay)
    await relay.command(call, "accept")
    await rings(caller)
    await relay.command(call, "end", reason="busy")
    final = await caller.final()
    caller.ack_failure(final)
    assert_helpful(final, 486)
    ended = await relay.state(call, "ended")
    assert (ended.params["end_reason"], ended.params["answer_time"]) == ("busy", 0)


async def test_the_caller_leaves_while_it_rings(callers: Callers, relay: RelayPeer) -> None:
    caller = await callers()
    call = await offer(caller, relay)
    await relay.command(call, "accept")
    await rings(caller)
    caller.cancel()
    final = await caller.final()
    caller.ack_failure(final)
    assert final.status == 487
    ended = await relay.state(call, "ended")
    assert (ended.params["end_reason"], ended.params["end_source"]) == ("abandoned", "inbound")
    where = {"node_id": call.params["node_id"], "call_id": call.call_id}
    reply = await relay.call("calling.accept", where)
    assert reply.data["result"]["code"] in {"404", "410"}


async def test_the_program_that_accepted_goes_and_the_next_one_has_the_call(
    node: NodeProcess, callers: Callers
) -> None:
    """It owns the call by accepting; three seconds after it is gone another may have it, and the caller still rings."""
    caller = await callers()
    async with RelayPeer(node) as first:
        call = await offer(caller, first)
        await first.command(call, "accept")
        await rings(caller)
        async with RelayPeer(node) as second:
            refused = await second.command(call, "accept", code="409")
            assert len(refused["message"].split()) >= 4
            await first.drop()
            again = await second.event("receive", within_s=WITHIN_S)
            assert again.call_id == call.call_id
            await second.command(call, "accept")
            assert (await second.state(call, "ringing")).params["answer_time"] == 0
            await second.command(call, "answer")
            await caller.accept()
            await caller.bye()
            await second.state(call, "ended")


async def test_the_phone_rings_and_is_answered_by_a_program_of_our_sdk(node: NodeProcess) -> None:
    client, calls = our_client(node)
    async with client, Phone() as phone:
        heard = await phone.dial(f"sip:100@{node.sip()[0]}:{node.sip()[1]}")
        call = await asyncio.wait_for(calls.get(), WITHIN_S)
        await call.accept()
        await heard.waits_ringing(within_s=WITHIN_S)
        ringing = await call.wait_for_ringing(WITHIN_S)
        assert (ringing.call_state, call.state, heard.answered) == ("ringing", "ringing", None)
        await call.answer()
        await heard.waits_answer()
        await call.hangup()
        await heard.waits_ended(within_s=WITHIN_S)


async def test_the_phone_rings_and_is_turned_down(node: NodeProcess) -> None:
    client, calls = our_client(node)
    async with client, Phone() as phone:
        heard = await phone.dial(f"sip:100@{node.sip()[0]}:{node.sip()[1]}")
        call = await asyncio.wait_for(calls.get(), WITHIN_S)
        await call.accept()
        await heard.waits_ringing(within_s=WITHIN_S)
        await call.hangup(reason="decline")
        with pytest.raises(CallFailed) as failed:
            await heard.waits_answer()
        assert failed.value.ended.status == 603


def our_client(node: NodeProcess) -> tuple[RelayClient, asyncio.Queue[Call]]:
    client = RelayClient(
        node.project, token=node.token, host=node.relay_host, ca_file=str(node.ca_file), contexts=["default"]
    )
    calls = asyncio.Queue[Call]()
    client.on_call(calls.put)
    return client, calls


async def test_sipp_sees_180_then_200(node: NodeProcess, tmp_path: Path) -> None:
    client, calls = our_client(node)

    async def serve() -> None:
        call = await calls.get()
        await call.accept()
        await call.answer()
        await call.hangup()

    async with client, asyncio.TaskGroup() as group:
        group.create_task(serve())
        result = await run_sipp("ringing", node.sip(), tmp_path, timeout=40)
    assert (result.successful, result.failed, result.exit_code) == (1, 0, 0), result.output
