"""A node that may have few descriptors, all of whose places strangers and clients take: calls go on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.dialog import Caller
from rig.fixtures import answered
from rig.node import ROUTES, NodeProcess, serving
from rig.processes import node_of
from rig.relay import RelayPeer

DESCRIPTORS = 256
CALLS = 5


@contextlib.contextmanager
def silent_strangers(node: NodeProcess, count: int) -> Iterator[list[socket.socket]]:
    """Connections that say nothing; the node keeps, closes or leaves them in the kernel as it likes."""
    with contextlib.ExitStack() as held:
        yield [held.enter_context(_connected(node.relay_port)) for _ in range(count)]


def _connected(port: int) -> socket.socket:
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", port))
    return one


async def take_all_places(node: NodeProcess, clients: contextlib.AsyncExitStack) -> None:
    for _ in range(DESCRIPTORS):
        peer = RelayPeer(node)
        clients.push_async_callback(peer.close)
        await peer.connect(contexts=[])


def opened(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.timeout(300)
async def test_strangers_and_clients_that_take_all_places_leave_descriptors_to_calls_journal_and_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An INVITE was refused 503 "free space": strangers held the descriptors that the journal and prompts open."""
    limit = f"prlimit --nofile={DESCRIPTORS}:{DESCRIPTORS}"
    monkeypatch.setenv("OFFHOOK_COMMAND", f"{limit} {sys.executable} -m offhook.node.cli")
    with serving(tmp_path, ROUTES) as node:
        async with contextlib.AsyncExitStack() as clients:
            relay = await clients.enter_async_context(RelayPeer(node))
            pid = node_of(node).pid
            before = opened(pid)
            with pytest.raises(AssertionError, match=r"end some, or raise limits\.sessions"):
                await take_all_places(node, clients)
            sessions = node.log().count("client connected")
            with silent_strangers(node, 2 * DESCRIPTORS):
                async with asyncio.timeout(60):
                    while (most := opened(pid)) <= before + sessions:  # some strangers are held beside all clients
                        await asyncio.sleep(0.05)
                print(f"{before} descriptors open before, {most} with {sessions} clients and all strangers")
                for number in range(CALLS):
                    talk = await answered(await Caller.open(node.sip()), relay)
                    text = [{"type": "tts", "params": {"text": f"Number {number}."}}]
                    await relay.command(talk.call, "play", control_id=f"p{number}", play=text)
                    event = await relay.event("play", lambda e, n=number: e.params["control_id"] == f"p{n}")
                    assert event.state == "playing", event.params
                    await talk.caller.bye()
                    await relay.state(talk.call, "ended")
                    talk.caller.close()
                    most = max(most, opened(pid))
                assert most <= before + DESCRIPTORS // 2 + CALLS
        assert "journal write refused" not in node.log()
        assert "Too many open files" not in node.log()
