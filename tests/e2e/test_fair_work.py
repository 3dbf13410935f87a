"""Names, fetches and speech of one call do not keep another call waiting; what is kept waits for nobody; and prompts
stay within their bound. Judged by orders and counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from rig import audio
from rig.dialog import Caller
from rig.fixtures import AudioServer, Talk, answered
from rig.node import NodeProcess, serving
from rig.processes import clock_of, connected_again, node_of
from rig.relay import Event, RelayPeer
from rig.responder import Responder

CACHE_BYTES = 16 << 20
SETTINGS = """
[fetch]
allow_loopback = true
connect_s = 60
read_s = 60
total_s = 300
[tts]
cache_mib = 16
wait_s = 30
[[routes]]
match = "1*"
context = "default"
"""
SENTENCE = "This sentence has about forty characters. "


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """``offhook serve`` with a small cache, in place of the ``dev`` that other tests have."""
    with serving(tmp_path_factory.mktemp("fair"), SETTINGS) as running:
        yield running


def item(kind: str, **params: str) -> list[dict[str, object]]:
    return [{"type": kind, "params": params}]


def bytes_in(directory: Path) -> int:
    """What its files hold together; one may go meanwhile."""
    total = 0
    for path in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


async def play(relay: RelayPeer, call: Event, control_id: str, media: list[dict[str, object]]) -> None:
    await relay.command(call, "play", control_id=control_id, play=media)


async def said(relay: RelayPeer, control_id: str, state: str) -> Event:
    wanted = lambda e: e.params.get("control_id") == control_id and e.state in (state, "error")  # noqa: E731
    event = await relay.event("play", wanted, within_s=90)
    assert event.state == state, event
    return event


def states(relay: RelayPeer, prefix: str, state: str) -> list[Event]:
    """What was told so far of the plays whose ids begin so."""
    return [
        event
        for event in relay.events
        if event.type == "calling.call.play" and event.params["control_id"].startswith(prefix) and event.state == state
    ]


@asynccontextmanager
async def two_calls(node: NodeProcess, relay: RelayPeer) -> AsyncIterator[tuple[Talk, Talk]]:
    talks = [await answered(await Caller.open(node.sip(), to="100"), relay) for _ in range(2)]
    yield talks[0], talks[1]
    for talk in talks:
        await talk.caller.bye()
        await relay.state(talk.call, "ended")
        talk.caller.close()


class Dripping:
    """A server whose answers under ``/drip`` never end; how many it gives at once."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.asked: list[str] = []
        self.wav = b""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if not request.path.startswith("/drip"):
            return web.Response(body=self.wav, headers={"Cache-Control": "max-age=3600"})
        self.now += 1
        self.most = max(self.most, self.now)
        response = web.StreamResponse()
        try:
            await response.prepare(request)
            while True:
                await response.write(b"\0")
                await asyncio.sleep(0.5)
        finally:
            self.now -= 1


@asynccontextmanager
async def dripping(tmp_path: Path) -> AsyncIterator[tuple[Dripping, int]]:
    server = Dripping()
    audio.write_wav(tmp_path / "tone.wav", audio.tone(900, 0.3))
    server.wav = (tmp_path / "tone.wav").read_bytes()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield server, runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.timeout(180)
async def test_64_urls_of_a_dripping_server_keep_no_other_call_from_its_audio(
    node: NodeProcess, relay: RelayPeer, tmp_path: Path
) -> None:
    """The next URL of another call came 29.7 s late, also one that was kept and fresh."""
    async with two_calls(node, relay) as (loud, quiet), dripping(tmp_path) as (server, port):
        kept = item("audio", url=f"http://127.0.0.1:{port}/kept.wav")
        await play(relay, quiet.call, "before", kept)
        await said(relay, "before", "finished")
        for number in range(64):
            await play(relay, loud.call, f"drip {number}", item("audio", url=f"http://127.0.0.1:{port}/drip/{number}"))
        async with asyncio.timeout(30):
            while server.now < 6:
                await asyncio.sleep(0.02)
        await play(relay, quiet.call, "kept", kept)
        await said(relay, "kept", "finished")
        await play(relay, quiet.call, "new", item("audio", url=f"http://localhost:{port}/new.wav"))
        await said(relay, "new", "finished")
        assert states(relay, "drip", "error") == []
        assert server.most == 6
        assert [path for path in server.asked if not path.startswith("/drip")] == ["/kept.wav", "/new.wav"]
        for number in range(64):
            await relay.command(loud.call, "play.stop", control_id=f"drip {number}")
        async with asyncio.timeout(30):
            while server.now:
                await asyncio.sleep(0.02)


@pytest.mark.timeout(300)
async def test_sixty_long_texts_keep_no_other_call_from_its_words(node: NodeProcess, relay: RelayPeer) -> None:
    """60 SSML texts of 10,000 characters: a short text of another call was not heard within 75 s."""
    async with two_calls(node, relay) as (loud, quiet):
        for number in range(60):
            text = f"<speak>Text {number}. {SENTENCE * 200}</speak>"
            await play(relay, loud.call, f"long {number}", item("tts", text=text))
        before = len(states(relay, "long", "playing"))
        await play(relay, quiet.call, "short", item("tts", text=f"Hello {uuid.uuid4().hex[:4]}."))
        await said(relay, "short", "playing")
        assert len(states(relay, "long", "playing")) <= before + 12
        for number in range(60):
            await relay.command(loud.call, "play.stop", control_id=f"long {number}")
        await said(relay, "short", "finished")


@pytest.mark.timeout(300)
async def test_many_new_texts_stay_within_the_bound_and_what_is_played_is_heard_to_its_end(
    node: NodeProcess, relay: RelayPeer, audio_server: AudioServer
) -> None:
    """1,821 MiB lay under a bound of 16."""
    prompts = node.state_dir / "prompts"
    most = 0
    async with two_calls(node, relay) as (loud, quiet):
        url = audio_server.publish("long.wav", audio.tone(600, 8.0))
        mark = quiet.caller.rtp.mark()
        await play(relay, quiet.call, "tone", item("audio", url=url))
        await said(relay, "tone", "playing")
        for number in range(40):
            await play(relay, loud.call, f"new {number}", item("tts", text=f"Text {number}. {SENTENCE * 10}"))
            await said(relay, f"new {number}", "playing")
            await relay.command(loud.call, "play.stop", control_id=f"new {number}")
            most = max(most, bytes_in(prompts))
        await said(relay, "tone", "finished")
        assert sum(end - begin for begin, end in audio.bursts(quiet.caller.rtp.joined(mark), 600)) > 8.0 * 8000 * 0.95
    assert most <= CACHE_BYTES
    assert most > CACHE_BYTES // 2, "the bound was not reached"
    assert states(relay, "new", "error") == []


@pytest.mark.timeout(180)
async def test_what_a_killed_node_began_to_play_keeps_its_file_and_is_heard_to_its_end(
    tmp_path: Path, audio_server: AudioServer
) -> None:
    """The next node knows what the engine plays; what it makes room with is another's. And the engine has opened it."""
    url = audio_server.publish("long.wav", audio.tone(600, 45.0))
    of_2_mib = [audio.tone(300 + number, 130.0) for number in range(12)]
    many = [audio_server.publish(f"{number}.wav", tone) for number, tone in enumerate(of_2_mib)]
    with serving(tmp_path / "node", SETTINGS) as node:
        relay = RelayPeer(node)
        await relay.connect()
        quiet, loud = [await answered(await Caller.open(node.sip(), to="100"), relay) for _ in range(2)]
        mark = quiet.caller.rtp.mark()
        await play(relay, quiet.call, "tone", item("audio", url=url))
        await said(relay, "tone", "playing")
        prompts = node.state_dir / "prompts"
        [file] = prompts.glob("url-*")
        short = audio_server.publish("short.wav", audio.tone(300, 0.2))
        await play(relay, loud.call, "unused", item("audio", url=short))
        await said(relay, "unused", "finished")
        [unused] = set(prompts.glob("url-*")) - {file}
        os.kill(node_of(node).pid, signal.SIGKILL)
        killed = time.monotonic()
        await relay.close()
        again = await connected_again(node, relay.protocol, killed, 60)
        for number, other in enumerate(many):
            await play(again, loud.call, f"new {number}", item("audio", url=other))
            await said(again, f"new {number}", "playing")
            await again.command(loud.call, "play.stop", control_id=f"new {number}")
            assert bytes_in(prompts) <= CACHE_BYTES
        assert not unused.exists(), "room was made, with what nobody played"
        assert len(set(prompts.glob("url-*")) - {file}) < len(many), "and with more than that"
        assert file.exists()
        assert not states(again, "tone", "finished"), "all of that happened while it was heard"
        file.unlink()
        await said(again, "tone", "finished")
        assert sum(end - begin for begin, end in audio.bursts(quiet.caller.rtp.joined(mark), 600)) > 45.0 * 8000 * 0.95
        for talk in (quiet, loud):
            await talk.caller.bye()
            await again.state(talk.call, "ended")
            talk.caller.close()
        await again.close()


# --- names -------------------------------------------------------------------------------------------------------

HIDDEN = """
mount --bind {directory}/resolv.conf /etc/resolv.conf
mount --bind {directory}/hosts /etc/hosts
exec {python} -m offhook.node.cli "$@"
"""
NAME_SERVER = "127.77.0.1"
TRUNK = """
[fetch]
allow_loopback = true
[[routes]]
match = "1*"
context = "default"
[trunk]
host = "trunk.test"
port = {port}
from_number = "+15550000000"
allow = ["+1"]
"""


@pytest.mark.judges_time
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a process another resolv.conf")
@pytest.mark.timeout(180)
async def test_silent_name_servers_of_urls_stop_no_dial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve URLs with silent name servers: dials by the trunk's name were "not found", still 20 s later."""
    (tmp_path / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\n")
    (tmp_path / "hosts").write_text("127.0.0.1 localhost trunk.test\n")
    script = tmp_path / "hidden"
    script.write_text(HIDDEN.format(directory=tmp_path, python=sys.executable))
    monkeypatch.setenv("OFFHOOK_COMMAND", f"unshare --mount sh {script}")
    trunk = await Responder.open()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((NAME_SERVER, 53))
        silent.setblocking(False)
        with serving(tmp_path / "node", TRUNK.format(port=trunk.sip.port)) as node:
            async with RelayPeer(node) as relay:
                await through_silence(node, relay, trunk, silent)
    trunk.close()


async def through_silence(node: NodeProcess, relay: RelayPeer, trunk: Responder, silent: socket.socket) -> None:
    talk = await answered(await Caller.open(node.sip(), to="100"), relay)
    for number in range(12):
        await play(relay, talk.call, f"url {number}", item("audio", url=f"http://silent{number}.test/a.wav"))
    await asked(silent, 12)
    device, clock = {"type": "phone", "params": {"to_number": "+15551230001"}}, clock_of(node)
    began = clock.start()
    await relay.request("calling.dial", {"tag": "trunk", "devices": [[device]]})
    invite = await trunk.offered()
    assert clock.took(began, invite.at) < 1.0, "the dial did not wait for the silent names, of which each takes 2 s"
    trunk.answer()
    await trunk.acknowledged()
    await relay.event("dial", lambda e: e.params["tag"] == "trunk" and e.state == "answered")
    for number in range(12):
        event = await relay.event("play", lambda e, n=number: e.params["control_id"] == f"url {n}")
        assert "was not resolved in 2 s" in event.params["message"]
    lost = {"type": "sip", "params": {"to": "sip:100@nobody.test", "from": "sip:test@localhost"}}
    await relay.request("calling.dial", {"tag": "lost", "devices": [[lost]]})
    await relay.event("dial", lambda e: e.params["tag"] == "lost" and e.state == "failed")
    assert "nobody.test was not resolved in 2 s" in node.log()
    await trunk.bye()
    await talk.caller.bye()
    await relay.state(talk.call, "ended")
    talk.caller.close()


async def asked(server: socket.socket, count: int) -> None:
    """Wait until so many names were asked for."""
    names: set[bytes] = set()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(30):
        while len(names) < count:
            query = await loop.sock_recv(server, 4096)
            names.add(query[12 : query.index(b"\0", 12)])
