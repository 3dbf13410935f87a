"""SIP connections that nobody uses are closed (``sip.tcp_idle_s``); a ping (RFC 5626 3.5.1) or a call keeps one."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from rig.dialog import Caller
from rig.fixtures import answered
from rig.node import running_node
from rig.relay import RelayPeer
from rig.sip import SipEndpoint, build, unique

IDLE_S = 5.0
"""Far more than a busy machine lets pass between two pings."""


async def spoken(remote: tuple[str, int]) -> SipEndpoint:
    """A connection on which an OPTIONS was answered."""
    sip = await SipEndpoint.tcp(remote)
    fields = [("Via", sip.via()), ("Max-Forwards", "70"), ("From", f"<{sip.uri}>;tag=1"), ("To", "<sip:100@127.0.0.1>")]
    fields += [("Call-ID", unique("idle")), ("CSeq", "1 OPTIONS"), ("Contact", f"<{sip.uri}>")]
    sip.send(build("OPTIONS sip:100@127.0.0.1 SIP/2.0", fields))
    await sip.expect(lambda m: m.status == 200)
    return sip


@pytest.mark.judges_time
async def test_an_idle_connection_is_closed_and_a_ping_or_a_call_keeps_one(tmp_path: Path) -> None:
    with running_node(tmp_path, extra={"OFFHOOK_SIP_TCP_IDLE_S": str(IDLE_S)}) as node:
        async with RelayPeer(node) as relay:
            idle, pinging = await spoken(node.sip("tcp")), await spoken(node.sip("tcp"))
            talk = await answered(await Caller.open(node.sip("tcp"), transport="tcp"), relay)
            async with asyncio.timeout(60):
                began = time.monotonic()
                while not idle.closed or time.monotonic() - began < IDLE_S + 1:
                    pinging.send(b"\r\n\r\n")
                    await asyncio.sleep(0.5)
            assert not pinging.closed
            assert not talk.caller.sip.closed
            assert (await talk.caller.bye()).status == 200
            ended = await relay.state(talk.call, "ended")
            assert (ended.params["end_reason"], ended.params["end_source"]) == ("hangup", "inbound")
            talk.caller.close()
            for sip in (idle, pinging):
                sip.close()
