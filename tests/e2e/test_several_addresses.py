"""A name with two addresses, of which the first does not serve: the call is placed at the second, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import bench
from bench import SETTINGS, Bench
from rig.engine import running_engine
from rig.responder import Responder
from rig.rtp import RtpPeer
from rig.sip import SipEndpoint

FIRST, SECOND = "127.0.0.2", "127.0.0.3"
NAME = "server.example"


@contextlib.asynccontextmanager
async def dialling(directory: Path) -> AsyncIterator[Bench]:
    """Calls and verbs on a real engine."""
    async with running_engine() as engine:
        made = Bench(directory, SETTINGS)
        made.exchange, made.registry = made.build(SETTINGS, engine.controller().port)
        async with made.exchange:
            await made.exchange.attach()
            yield made


async def dial(node: Bench, port: int, more: str = "", **params: Any) -> None:
    device = {"type": "sip", "params": {"to": f"sip:callee@{NAME}:{port}{more}", **params}}
    await node.run("calling.dial", tag="t", devices=[[device]])


async def talks(node: Bench, responder: Responder) -> None:
    """The call is answered there, carries digits, and ends; it is told as one that was placed once."""
    if responder.invite is None:
        await responder.offered()
    responder.ring()
    responder.answer()
    await responder.acknowledged()
    await node.sink.when("calling.call.dial", dial_state="answered")
    [call] = list(node.exchange.calls)
    await node.run("calling.send_digits", call, control_id="d", digits="12#")
    await node.sink.when("calling.call.send_digits", control_id="d")
    await asyncio.sleep(0.1)
    assert responder.rtp.digits() == "12#"
    await responder.bye()
    assert (await node.ended(call))["end_reason"] == "hangup"
    states = [state for state in node.states(call) if state != "ringing"]  # not told where the answer came with it
    assert states == ["created", "answered", "ending", "ended"]
    assert {state["call_id"] for state in node.sink.of("calling.call.state")} == {call.call_id}


@pytest.mark.parametrize("first", [FIRST, "::1"], ids=["nobody listens", "no way there"])
async def test_an_address_where_nobody_listens_is_passed_over(tmp_path, monkeypatch, first):
    monkeypatch.setitem(bench.HOSTS, NAME, [first, SECOND])
    responder = Responder(await SipEndpoint.udp(host=SECOND), RtpPeer())
    async with dialling(tmp_path) as node:
        await dial(node, responder.sip.port)
        await talks(node, responder)
    responder.close()


async def test_a_server_that_answers_503_is_left_for_the_next(tmp_path, monkeypatch):
    monkeypatch.setitem(bench.HOSTS, NAME, [FIRST, SECOND])
    responder = Responder(await SipEndpoint.udp(host=SECOND), RtpPeer())
    full = Responder(await SipEndpoint.udp(responder.sip.port, FIRST), RtpPeer())
    async with dialling(tmp_path) as node:
        await dial(node, responder.sip.port)
        first = await full.offered()
        full.respond(503, "Service Unavailable")
        await full.acknowledged()
        await talks(node, responder)
        assert responder.invite is not None
        assert responder.invite.uri == first.uri
        assert responder.invite.get("Call-ID") != first.get("Call-ID")
    full.close()
    responder.close()


async def test_a_server_that_says_nothing_is_left_after_4_s_and_gets_cancel_when_it_speaks(tmp_path, monkeypatch):
    monkeypatch.setitem(bench.HOSTS, NAME, [FIRST, SECOND])
    responder = Responder(await SipEndpoint.udp(host=SECOND), RtpPeer())
    slow = Responder(await SipEndpoint.udp(responder.sip.port, FIRST), RtpPeer())
    async with dialling(tmp_path) as node:
        await dial(node, responder.sip.port)
        first = await slow.offered()
        second = await responder.offered()
        assert second.at - first.at >= 3.9
        slow.respond(100, "Trying")
        await slow.cancelled()
        await talks(node, responder)
    slow.close()
    responder.close()


async def test_a_server_that_says_that_the_callee_is_busy_is_believed(tmp_path, monkeypatch):
    monkeypatch.setitem(bench.HOSTS, NAME, [FIRST, SECOND])
    other = await SipEndpoint.udp(host=SECOND)
    busy = Responder(await SipEndpoint.udp(other.port, FIRST), RtpPeer())
    async with dialling(tmp_path) as node:
        await dial(node, other.port)
        await busy.offered()
        busy.respond(486, "Busy Here")
        await busy.acknowledged()
        failed = await node.sink.when("calling.call.dial", dial_state="failed")
        assert failed["reason"] == "busy"
        await asyncio.sleep(0.2)
        assert other.inbox == []
    busy.close()
    other.close()


async def test_a_connection_that_is_refused_is_opened_to_the_next_address(tmp_path, monkeypatch):
    monkeypatch.setitem(bench.HOSTS, NAME, [FIRST, SECOND])
    responder = Responder(SipEndpoint("tcp", host=SECOND), RtpPeer())
    server = await asyncio.start_server(responder.sip.adopt, SECOND, 0)
    async with dialling(tmp_path) as node:
        await dial(node, server.sockets[0].getsockname()[1], ";transport=tcp")
        await talks(node, responder)
    responder.close()
    server.close()
