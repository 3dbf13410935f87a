"""What a running node keeps to itself: addresses, files, secrets, standard output."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import time
import urllib.parse
from pathlib import Path

import pytest

from rig.dialog import Caller, sdp
from rig.fixtures import Callers, Talk, answered, offer
from rig.node import NodeProcess
from rig.recording import record, stop
from rig.relay import RelayPeer
from rig.sip import SipEndpoint, Timeout, build, unique

RING = [{"type": "ringtone", "params": {"name": "us", "duration": 30}}]
LISTENS = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}


def bound(pid: int) -> set[tuple[str, str]]:
    """(protocol, hexadecimal address) of each socket on which a process receives from anybody."""
    inodes = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(str(fd.readlink()))
        except FileNotFoundError:
            continue
    found = set()
    for protocol, state in LISTENS.items():
        for line in Path(f"/proc/{pid}/net/{protocol}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state and f"socket:[{fields[9]}]" in inodes:
                found.add((protocol, fields[1].partition(":")[0]))
    return found


async def test_nothing_listens_but_on_loopback(node: NodeProcess, talk: Talk) -> None:
    sockets = {found for process in node.processes() for found in bound(process.pid)}
    assert {protocol for protocol, _ in sockets} >= {"tcp", "udp"}, "no socket was seen"
    loopback = {"0100007F", "00000000000000000000000001000000"}
    assert {address for _, address in sockets} <= loopback


def own_address() -> str:
    """An address of this machine that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


async def test_a_strangers_address_gets_nothing(node: NodeProcess, relay: RelayPeer) -> None:
    """livekit/sip hide_inbound_port: who is not trusted learns not even that somebody is there."""
    address = own_address()
    if not address:
        pytest.skip("this machine has no address but loopback")
    stranger = await SipEndpoint.udp(host=address)
    for method in ("OPTIONS", "INVITE", "REGISTER"):
        fields = [("Via", stranger.via()), ("Max-Forwards", "70"), ("From", f"<{stranger.uri}>;tag=1")]
        fields += [("To", "<sip:100@127.0.0.1>"), ("Call-ID", unique("stranger")), ("CSeq", f"1 {method}")]
        stranger.send(build(f"{method} sip:100@127.0.0.1 SIP/2.0", fields), node.sip())
    with pytest.raises(Timeout):
        await stranger.expect(lambda _m: True, 0.7)
    stranger.close()
    reader, writer = await asyncio.open_connection(*node.sip("tcp"), local_addr=(address, 0))
    assert await asyncio.wait_for(reader.read(), 30) == b"", "the connection is closed without a word"
    writer.close()
    assert [e for e in relay.events if e.type == "calling.call.receive"] == []


def is_open_to_others(path: Path, root: Path) -> bool:
    """Whether somebody else gets there: bits of its own, and no closed directory above it."""
    above = [parent for parent in path.parents if parent.is_relative_to(root) and parent != root]
    return bool(path.lstat().st_mode & 0o077) and all(parent.stat().st_mode & 0o011 for parent in above)


async def test_all_that_is_kept_is_for_its_owner_alone(node: NodeProcess) -> None:
    state = node.state_dir
    seen, is_open, keys = {}, [], []
    for path in state.rglob("*"):
        if path.name.startswith("stderr-"):  # that one is the test's
            continue
        try:
            seen[path] = path.lstat()
            if not path.is_symlink() and is_open_to_others(path, state):
                is_open.append(path)
            if path.is_file() and path.suffix != ".pyc" and b"PRIVATE KEY" in path.read_bytes():
                keys.append(path)
        except FileNotFoundError:  # files of the journal come and go
            seen.pop(path, None)
    assert {"tls", "recordings", "prompts", "control"} <= {path.name for path in seen}
    assert any("-tail." in path.name for path in seen)
    assert is_open == []
    assert keys
    assert {stat.S_IMODE(seen[path].st_mode) for path in keys} == {0o600}
    assert {facts.st_uid for facts in seen.values()} == {os.getuid()}


async def test_no_secret_stands_in_the_log(node: NodeProcess, callers: Callers, relay: RelayPeer) -> None:
    """eigger/hass-sip#51: a log to send to a colleague, credentials masked, at the most verbose level."""
    talk = await answered(await callers(), relay)
    await record(talk)
    await talk.relay.command(
        talk.call, "play", control_id="t", play=[{"type": "tts", "params": {"text": "My secret."}}]
    )
    await talk.relay.finished("play", "t")
    url = (await stop(talk))["url"]
    await talk.caller.bye()
    await relay.state(talk.call, "ended")
    assert node.token not in url
    assert node.project not in url
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    log = node.log()
    assert "leg ended" in log, "nothing was logged"
    for secret in (node.token, *query["signature"], "My secret."):
        assert secret not in log


def open_files(node: NodeProcess) -> dict[str, int]:
    """How many descriptors each process holds, and how many threads."""
    counts = {}
    for process in node.processes():
        root = Path(f"/proc/{process.pid}")
        counts[f"{process.pid} files"] = len(list((root / "fd").iterdir()))
        counts[f"{process.pid} threads"] = len(list((root / "task").iterdir()))
    return counts


async def test_calls_that_end_in_any_way_leave_nothing_open(node: NodeProcess, relay: RelayPeer) -> None:
    """aplisay/llm-agent#285: every refused call, every cancelled one and every one that talked used to leak."""

    async def one_of_each() -> None:
        for end in ("bye", "cancel", "refuse", "no codec"):
            caller = await Caller.open(node.sip())
            if end == "no codec":
                caller.invite(sdp(caller.rtp.port, codecs="18", events=False))
                caller.ack_failure(await caller.final())
            elif end == "bye":
                talk = await answered(caller, relay)
                await relay.command(talk.call, "record", control_id="r", record={"audio": {}})
                await relay.command(talk.call, "play", control_id="p", play=RING)
                await relay.event("play", lambda e: e.state == "playing")
                await caller.bye()
                await relay.state(talk.call, "ended")
            else:
                call = await offer(caller, relay)
                caller.cancel() if end == "cancel" else await relay.command(call, "end", reason="busy")
                caller.ack_failure(await caller.final())
                await relay.state(call, "ended")
            caller.close()

    await one_of_each()
    before = open_files(node)
    for _ in range(5):
        await one_of_each()
    until = time.monotonic() + 30
    while more := {name: after for name, after in open_files(node).items() if after > before.get(name, 0)}:
        assert time.monotonic() < until, more
        await asyncio.sleep(0.1)
