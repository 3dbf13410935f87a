"""Calls through a proxy that stays in their path."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from rig.dialog import Caller
from rig.fixtures import offer
from rig.node import NodeProcess
from rig.programs import kamailio
from rig.relay import RelayPeer
from rig.responder import Responder

pytestmark = pytest.mark.peers


async def until_no_more_answers(caller: Caller) -> None:
    """What was answered before the ACK came may come twice; without an ACK it comes every 4 s, for 32 s."""
    for _ in range(3):
        came = caller.sip.count(lambda m: m.status == 200 and m.method == "INVITE")
        await asyncio.sleep(1.5 if came == 1 else 5.0)
        if caller.sip.count(lambda m: m.status == 200 and m.method == "INVITE") == came:
            return
    raise AssertionError("the ACK was not taken")


async def test_a_call_in_keeps_to_the_proxy_both_ways(node: NodeProcess, relay: RelayPeer, tmp_path: Path) -> None:
    caller = await Caller.open(node.sip())
    async with kamailio(tmp_path, node.sip()[1], caller.sip.port) as port:
        caller.remote = ("127.0.0.1", port)
        call = await offer(caller, relay)
        await relay.command(call, "answer")
        answer = await caller.accept()
        assert f"127.0.0.1:{port}" in answer.get("Record-Route")
        await until_no_more_answers(caller)
        await relay.command(call, "end")
        bye = await caller.ended_by_node()
        assert bye.source[1] == port
        assert len(bye.all("Via")) == 2
        await relay.state(call, "ended")
    caller.close()


async def test_a_call_out_keeps_to_the_proxy_both_ways(node: NodeProcess, relay: RelayPeer, tmp_path: Path) -> None:
    responder = await Responder.open()
    async with kamailio(tmp_path, node.sip()[1], responder.sip.port) as port:
        tag = str(uuid.uuid4())
        device = {"type": "sip", "params": {"to": f"sip:callee@127.0.0.1:{port}", "from": "sip:test@localhost"}}
        await relay.request("calling.dial", {"tag": tag, "devices": [[device]]})
        await responder.offered()
        responder.ring()
        responder.answer()
        ack = await responder.acknowledged()
        assert ack.source[1] == port
        done = await relay.event("dial", lambda e: e.params["tag"] == tag and e.state == "answered")
        await relay.command(done.params["call"], "end")
        bye = await responder.ended()
        assert bye.source[1] == port
        await relay.state(done.params["call"], "ended")
    responder.close()
