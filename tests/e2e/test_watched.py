"""What hangs, and what is full: node, engine and disk are looked after; calls go on, callers are told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from offhook.node.engine.launch import find_engine
from rig import audio
from rig.dialog import Caller
from rig.disk import fill, small_disk
from rig.fixtures import AudioServer, Talk, answered
from rig.node import ROUTES, NodeProcess, serving
from rig.processes import connected_again, frozen, node_of, nodes_of, thread_named
from rig.relay import Event, RelayPeer
from rig.sip import assert_helpful, sentence
from rig.waiting import until

PATIENCE_S = 60.0
"""How long anything may take before a test gives it up; nothing is judged by it."""


def watching(node_s: float, engine_s: float) -> str:
    return f"{ROUTES}\n[watch]\nnode_s = {node_s}\nengine_s = {engine_s}\n"


async def playing(node: NodeProcess, relay: RelayPeer, url: str) -> Talk:
    talk = await answered(await Caller.open(node.sip()), relay)
    play = [{"type": "audio", "params": {"url": url}}]
    await relay.command(talk.call, "play", control_id="tone", play=play, loop=0)
    await relay.event("play", lambda e: e.state == "playing" and e.call_id == talk.call.call_id)
    return talk


def from_uri(offer: Event) -> str:
    return str(offer.params["device"]["params"]["from"])


async def new_call(node: NodeProcess, relay: RelayPeer) -> None:
    """One that begins, is answered and ends."""
    talk = await answered(await Caller.open(node.sip()), relay)
    await talk.caller.bye()
    await relay.state(talk.call, "ended")
    talk.caller.close()


async def test_a_node_that_hangs_is_ended_with_a_traceback_and_its_calls_go_on(
    tmp_path: Path, audio_server: AudioServer
) -> None:
    """Nobody watched for a node that hangs: a new caller heard neither ringing nor a refusal for as long as it did."""
    url = audio_server.publish("tone.wav", audio.tone(440, 2.0))
    with serving(tmp_path, watching(3, 60)) as node:
        relay = RelayPeer(node)
        await relay.connect()
        talks = [await playing(node, relay, url) for _ in range(5)]
        marks = [talk.caller.rtp.mark() for talk in talks]
        hung = node_of(node).pid
        began = time.monotonic()
        os.kill(hung, signal.SIGSTOP)
        late = await Caller.open(node.sip())
        late.invite()
        await until(lambda: NodeProcess.left_of([hung], 0) == [], "the node that hangs is ended")
        took = time.monotonic() - began
        await relay.close()
        again = await connected_again(node, relay.protocol, began, PATIENCE_S)
        offered = await again.event("receive", lambda e: e.call_id not in {t.call.call_id for t in talks})
        await again.command(offered, "answer")
        await late.accept()
        print(f"hung: ended after {took:.1f} s; a caller who came meanwhile is answered by the next node")
        for talk, mark in zip(talks, marks, strict=True):
            assert talk.caller.rtp.broken(mark) == []
            await again.command(talk.call, "end")
            await talk.caller.ended_by_node()
            await again.state(talk.call, "ended")
            talk.caller.close()
        await again.command(offered, "end")
        await late.ended_by_node()
        late.close()
        await new_call(node, again)
        assert "a part hangs and is ended" in node.log()
        assert "Fatal Python error: Aborted" in node.log()
        assert "most recent call first" in node.log()
        await again.close()


async def test_a_caller_is_told_while_the_node_does_not_ack_and_calls_go_on(tmp_path: Path) -> None:
    with serving(tmp_path, watching(600, 600)) as node:
        async with RelayPeer(node) as relay:
            talk = await answered(await Caller.open(node.sip()), relay)
            mark = talk.caller.rtp.mark()
            hung = node_of(node).pid
            os.kill(hung, signal.SIGSTOP)
            began = time.monotonic()
            first, second = await Caller.open(node.sip()), await Caller.open(node.sip())
            first.invite()
            refused = await first.final(PATIENCE_S)
            first.ack_failure(refused)
            print(f"the first caller is told after {time.monotonic() - began:.1f} s: {sentence(refused)}")
            second.invite()
            told = await second.final(PATIENCE_S)
            second.ack_failure(told)
            for response in (refused, told):
                assert response.status == 503
                assert_helpful(response, 503)
            assert told.get("Retry-After")
            assert time.monotonic() - began > 9
            os.kill(hung, signal.SIGCONT)
            await until(lambda: "the node acks again" in node.log(), "the node acks again")
            # Whether the node reads of the first call before it reads of its end is up to it. What it offers, ends.
            later = await Caller.open(node.sip())
            later.invite()
            coming = await relay.event("receive", lambda e: from_uri(e) == later.sip.uri)
            await relay.command(coming, "answer")
            await later.accept()
            offered = [e for e in relay.events if e.type == "calling.call.receive" and not e.seen]
            assert [from_uri(e) for e in offered] in ([], [first.sip.uri]), "once at most, and none that it never got"
            for call in offered:
                ended = await relay.state(call, "ended")
                assert (ended.params["end_reason"], ended.params["answer_time"]) == ("noAnswer", 0)
                assert [e.state for e in relay.of_call(call.call_id)] == ["created", "ending", "ended"]
                await relay.command(call, "answer", code="410")
            await later.bye()
            await relay.state(coming, "ended")
            assert talk.caller.rtp.broken(mark) == []
            await talk.caller.bye()
            await relay.state(talk.call, "ended")
            for caller in (first, second, later, talk.caller):
                caller.close()


async def test_an_engine_that_hangs_ends_as_one_that_crashed(tmp_path: Path) -> None:
    with serving(tmp_path, watching(60, 3)) as node:
        async with RelayPeer(node) as relay:
            talk = await answered(await Caller.open(node.sip()), relay)
            hung = node.engine().pid
            os.kill(hung, signal.SIGSTOP)
            ended = await relay.state(talk.call, "ended", within_s=PATIENCE_S)
            assert (ended.params["end_reason"], ended.params.get("end_detail")) == ("error", "node_failure")
            assert "restarted" in sentence(await talk.caller.ended_by_node())
            assert node.engine().pid != hung
            talk.caller.close()
            await new_call(node, relay)


async def test_an_engine_of_which_a_media_thread_hangs_is_ended_as_well(tmp_path: Path) -> None:
    """Its core said each second that all was well, while nobody on that thread heard anything."""
    with serving(tmp_path, watching(60, 3)) as node:
        async with RelayPeer(node) as relay:
            talk = await answered(await Caller.open(node.sip()), relay)
            hung = node.engine().pid
            with frozen(thread_named(hung, "media-0")):
                ended = await relay.state(talk.call, "ended", within_s=PATIENCE_S)
                await until(lambda: NodeProcess.left_of([hung], 0) == [], "the engine that hangs is ended")
            assert (ended.params["end_reason"], ended.params.get("end_detail")) == ("error", "node_failure")
            assert "a media thread stands still" in node.log()
            talk.caller.close()
            await new_call(node, relay)


MUTE = """#!{python}
import os, sys
at = sys.argv.index("--ready-fd") + 1
if not os.path.exists({mark!r}):
    open({mark!r}, "w").close()
    out, (read, write) = int(sys.argv[at]), os.pipe()
    if os.fork() == 0:
        os.close(write)
        line = b""
        while not line.endswith(b"\\n"):
            line += os.read(read, 1)
        os.write(out, line)
        while os.read(read, 4096):
            pass
        os._exit(0)
    os.set_inheritable(write, True)
    sys.argv[at] = str(write)
os.execv({engine!r}, [{engine!r}, *sys.argv[1:]])
"""
"""An engine whose beats nobody gets to hear, only that it is ready; those that are started after it are as always."""


async def test_an_engine_that_hangs_before_it_ever_beat_is_ended_too(tmp_path: Path) -> None:
    """It was watched from its first beat, so that one that hung within its first second took calls for ever."""
    engine = find_engine()
    mute = tmp_path / "mute"
    mute.write_text(MUTE.format(python=sys.executable, mark=str(tmp_path / "begun"), engine=str(engine)))
    mute.chmod(0o700)
    with serving(tmp_path, watching(60, 12), extra={"OFFHOOK_ENGINE_BINARY": str(mute)}) as node:
        async with RelayPeer(node) as relay:
            await until(lambda: "part=engine" in node.log(), "the engine that says nothing is ended")
            await until(lambda: node.log().count("engine listens") == 2, "another one listens")
            await until(lambda: node.log().count("node connected") == 2, "the node has it")
            await new_call(node, relay)


async def test_a_supervisor_that_stood_still_takes_nobody_for_hung(tmp_path: Path) -> None:
    """A machine that was suspended: all that the parts said meanwhile waits to be read."""
    with serving(tmp_path, watching(4, 4)) as node:
        async with RelayPeer(node) as relay:
            family = [stat.pid for stat in (node_of(node), node.engine())]
            for _ in range(3):
                node.process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(5.0)
                node.process.send_signal(signal.SIGCONT)
                await asyncio.sleep(0.2)
            await asyncio.sleep(1.5)
            assert [stat.pid for stat in NodeProcess.left_of(family, 0)] == family
            await new_call(node, relay)
            assert "hangs" not in node.log()


@pytest.mark.parametrize("kills", [1, 3])
async def test_a_node_that_is_killed_while_the_disk_is_full_is_back_when_there_is_room(
    tmp_path: Path, audio_server: AudioServer, kills: int
) -> None:
    """Five starts failed within 0.6 s, for want of a byte for the epoch; then engine and all calls ended."""
    url = audio_server.publish("tone.wav", audio.tone(440, 2.0))
    with small_disk(tmp_path / "state"), serving(tmp_path, watching(30, 60)) as node:
        relay = RelayPeer(node)
        await relay.connect()
        talk = await playing(node, relay, url)
        engine = node.engine().pid
        filling = fill(tmp_path / "state")
        began = time.monotonic()
        mark = talk.caller.rtp.mark()
        for _ in range(kills):
            await until(lambda: nodes_of(node), "a node to kill")
            for stat in nodes_of(node):
                with contextlib.suppress(ProcessLookupError):  # without a byte for its epoch it ended by itself
                    os.kill(stat.pid, signal.SIGKILL)
            await asyncio.sleep(1.5)
        assert node.process.poll() is None, node.log()[-2000:]
        assert node.engine().pid == engine
        filling.unlink()
        await relay.close()
        again = await connected_again(node, relay.protocol, began, PATIENCE_S)
        assert talk.caller.rtp.broken(mark) == []
        await again.command(talk.call, "end")
        await talk.caller.ended_by_node()
        await again.state(talk.call, "ended")
        talk.caller.close()
        await new_call(node, again)
        assert node.engine().pid == engine
        await again.close()
