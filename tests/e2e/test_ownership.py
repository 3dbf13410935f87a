"""Who owns a call, over processes that are killed and clients that go: two clients, a caller, a real engine."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from rig.dialog import Caller, sdp
from rig.fixtures import offer
from rig.node import NodeProcess, serving
from rig.processes import connected_again, node_of
from rig.relay import RelayPeer
from rig.responder import Responder

WITHIN_S = 30.0
SILENCE = [{"type": "silence", "params": {"duration": 0.2}}]


async def killed_and_resumed(node: NodeProcess, relay: RelayPeer) -> RelayPeer:
    """The node is killed; its client resumes with the next one."""
    protocol = relay.protocol
    os.kill(node_of(node).pid, signal.SIGKILL)
    began = time.monotonic()
    await relay.close()
    return await connected_again(node, protocol, began, 60)


async def test_who_took_a_call_over_owns_it_when_the_node_was_killed(tmp_path: Path) -> None:
    """The label of the call named the client that went: after the crash the other one got 409, and the call ended."""
    with serving(tmp_path) as node:
        first, caller = RelayPeer(node), await Caller.open(node.sip())
        await first.connect()
        call = await offer(caller, first)
        await first.command(call, "accept")
        await first.drop()
        second = RelayPeer(node)
        await second.connect()
        given = await second.event("receive", within_s=WITHIN_S)
        assert given.call_id == call.call_id
        second = await killed_and_resumed(node, second)
        await second.command(call, "answer")
        await caller.accept(WITHIN_S)
        await second.state(call, "answered", WITHIN_S)
        second = await killed_and_resumed(node, second)
        await second.command(call, "play", control_id="p", play=SILENCE)
        await second.finished("play", "p", WITHIN_S)
        stranger = RelayPeer(node)
        await stranger.connect()
        await stranger.command(call, "end", code="409")
        await second.command(call, "end")
        await caller.ended_by_node(WITHIN_S)
        await second.state(call, "ended", WITHIN_S)
        for peer in (second, stranger):
            await peer.close()
        caller.close()


async def test_a_client_that_goes_for_good_during_a_dial_leaves_no_call_behind(tmp_path: Path) -> None:
    """The next device was called for nobody, answered, and kept for four hours."""
    with serving(tmp_path, extra={"OFFHOOK_CALLS_ORPHAN_S": "2"}) as node:
        never, eager = await Responder.open(), await Responder.open()
        relay = RelayPeer(node)
        await relay.connect()
        devices = [[{"type": "sip", "params": {"to": each.uri, "timeout": 60}}] for each in (never, eager)]
        await relay.request("calling.dial", {"tag": "t", "devices": devices})
        await never.offered(WITHIN_S)
        never.ring()
        await relay.event("state", lambda e: e.state == "ringing", within_s=WITHIN_S)
        protocol = relay.protocol
        await relay.drop()
        await never.cancelled(WITHIN_S)
        again = RelayPeer(node, protocol=protocol)
        await again.connect()
        failed = await again.event("dial", lambda e: e.state == "failed", within_s=WITHIN_S)
        assert "dial again" in failed.params["message"]
        ended = await again.event("state", lambda e: e.state == "ended", within_s=WITHIN_S)
        assert ended.params["end_reason"] == "cancel"
        await again.close()
        assert [message.method for message in eager.sip.inbox] == [], "called for nobody"
        never.close()
        eager.close()


async def test_a_refused_answer_leaves_the_search_running_and_the_caller_hears_ringing(tmp_path: Path) -> None:
    """The caller heard nothing for 120 s, and nobody else was asked."""
    with serving(tmp_path) as node:
        first, second = RelayPeer(node), RelayPeer(node)
        await first.connect()
        caller = await Caller.open(node.sip())
        call = await offer(caller, first, sdp(caller.rtp.port, codecs="0"))
        await second.connect()
        refused = await first.command(call, "answer", code="400", codecs=["PCMA"])
        assert len(refused["message"].split()) > 3
        await caller.sip.expect(lambda m: m.status == 180, WITHIN_S, "180")
        assert second.of_call(call.call_id) == []
        await first.command(call, "pass")
        given = await second.event("receive", within_s=WITHIN_S)
        assert given.call_id == call.call_id
        await second.command(call, "answer")
        await caller.accept(WITHIN_S)
        await second.command(call, "end")
        await caller.ended_by_node(WITHIN_S)
        for peer in (first, second):
            await peer.close()
        caller.close()


async def test_a_client_that_went_for_good_is_hung_up_within_the_orphan_s_of_the_node(tmp_path: Path) -> None:
    with serving(tmp_path, extra={"OFFHOOK_CALLS_ORPHAN_S": "2"}) as node:
        relay, caller = RelayPeer(node), await Caller.open(node.sip())
        await relay.connect()
        call = await offer(caller, relay)
        await relay.command(call, "answer")
        await caller.accept(WITHIN_S)
        gone = time.monotonic()
        await relay.drop()
        await caller.ended_by_node(WITHIN_S)
        assert time.monotonic() - gone > 1.5, "it had its time to come back"
        caller.close()
