"""What is killed, and what goes on: node, engine, the whole of ``dev``."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from rig import audio
from rig.dialog import Caller
from rig.fixtures import AudioServer, Talk, answered
from rig.node import ROOT, NodeProcess, processes_of, running_node, serving, start
from rig.opened import remember
from rig.processes import connected_again, node_of, nodes_of
from rig.recording import fetch, record
from rig.relay import RelayPeer
from rig.sip import SipEndpoint, assert_helpful, sentence

Running = Callable[[Path], AbstractContextManager[NodeProcess]]


@pytest.mark.judges_time
async def test_a_node_that_is_killed_comes_back_to_its_calls(tmp_path: Path, audio_server: AudioServer) -> None:
    url = audio_server.publish("tone.wav", audio.tone(440, 2.0))
    with serving(tmp_path) as node:
        relay = RelayPeer(node)
        await relay.connect()
        talks: list[Talk] = []
        for _ in range(5):
            talks.append(await answered(await Caller.open(node.sip()), relay))
            play = [{"type": "audio", "params": {"url": url}}]
            await relay.command(talks[-1].call, "play", control_id="tone", play=play, loop=0)
            await relay.event("play", lambda e: e.state == "playing")
        known = {talk.call.call_id for talk in talks}
        marks = [t.caller.rtp.mark() for t in talks]
        protocol = relay.protocol
        os.kill(node_of(node).pid, signal.SIGKILL)
        killed = time.monotonic()
        late = await Caller.open(node.sip())
        await asyncio.sleep(0.05)
        late.invite()
        final = asyncio.ensure_future(late.final(60))
        await relay.close()
        again = await connected_again(node, protocol, killed, 60)
        silence = [{"type": "silence", "params": {"duration": 0.1}}]
        await again.command(talks[0].call, "play", control_id="first", play=silence)
        took = time.monotonic() - killed
        # Who calls meanwhile is refused, or still rings when the next node is there: then it is offered.
        offered = asyncio.ensure_future(again.event("receive", lambda e: e.call_id not in known, within_s=60))
        await asyncio.wait({final, offered}, return_when=asyncio.FIRST_COMPLETED)
        if not final.done():
            await again.command(await offered, "pass")
        refused = await final
        offered.cancel()
        late.ack_failure(refused)
        print(f"node killed: a new command accepted {took:.2f} s later; a call meanwhile got {refused.start!r}")
        assert took <= max(3.0, node.started_in_s), f"it started in {node.started_in_s:.1f} s"
        assert refused.status in {503, 480}
        assert_helpful(refused, refused.status)
        await asyncio.sleep(1.0)
        for talk, mark in zip(talks, marks, strict=True):
            assert talk.caller.rtp.broken(mark) == []
            assert talk.caller.rtp.largest_stop_ms(mark) < 100
            own = [e for e in again.of_call(talk.call.call_id) if e.params.get("control_id") == "tone"]
            assert [e.params for e in own if e.state in {"error", "finished"}] == [], "it goes on"
            await again.command(talk.call, "play.stop", control_id="tone")
            await again.event(
                "play",
                lambda e, call=talk.call: (
                    (e.call_id, e.params["control_id"], e.state) == (call.call_id, "tone", "finished")
                ),
            )
        for talk in talks:
            mark = talk.caller.rtp.mark()
            play = [{"type": "audio", "params": {"url": audio_server.publish("new.wav", audio.tone(900, 0.5))}}]
            await again.command(talk.call, "play", control_id="new", play=play)
            await again.event("play", lambda e: e.params["control_id"] == "new" and e.state == "finished")
            assert audio.bursts(talk.caller.rtp.samples(mark), 900)
            await again.command(talk.call, "end")
            await talk.caller.ended_by_node()
            await again.state(talk.call, "ended")
            talk.caller.close()
        late.close()
        await again.close()


async def test_a_prompt_and_a_recording_outlive_their_node_and_end_as_they_would_have(
    tmp_path: Path, audio_server: AudioServer
) -> None:
    """The prompt was cut 0.14 s after the node was killed, and the recording ended there with an error."""
    url = audio_server.publish("tone.wav", audio.tone(440, 8.0))
    with serving(tmp_path) as node:
        relay = RelayPeer(node)
        await relay.connect()
        talk = await answered(await Caller.open(node.sip()), relay)
        await record(talk)
        await relay.command(talk.call, "play", control_id="p", play=[{"type": "audio", "params": {"url": url}}])
        await relay.event("play", lambda e: e.state == "playing")
        mark = talk.caller.rtp.mark()
        talk.caller.rtp.play(audio.tone(600, 90.0))  # he speaks until he hangs up, however late that is
        os.kill(node_of(node).pid, signal.SIGKILL)
        killed = time.monotonic()
        await relay.close()
        again = await connected_again(node, relay.protocol, killed, 60)
        played = await again.event("play", lambda e: e.state in {"finished", "error"})
        assert (played.params["control_id"], played.state) == ("p", "finished")
        heard = talk.caller.rtp.samples(mark)
        assert audio.tone_share(heard[8000 : 6 * 8000], 440) > 0.95, "no gap in the prompt"
        lasted_s = time.monotonic() - killed
        await talk.caller.bye()
        recorded = await again.event("record", lambda e: e.state in {"finished", "error", "no_input"})
        assert recorded.state == "finished"
        await again.state(talk.call, "ended")
        [speak] = audio.read_wav(await fetch(node, recorded.params["url"], tmp_path / "r.wav"))
        assert len(speak) / 8000 >= lasted_s - 0.5
        assert audio.tone_share(speak[-3 * 8000 : -8000], 600) > 0.95
        talk.caller.close()
        await again.close()


@pytest.mark.judges_time
async def test_a_node_that_is_killed_with_its_spare_starts_from_nothing_within_three_seconds(tmp_path: Path) -> None:
    with serving(tmp_path) as node:
        relay = RelayPeer(node)
        await relay.connect()
        talk = await answered(await Caller.open(node.sip()), relay)
        protocol = relay.protocol
        began = time.monotonic()
        while len(pythons := nodes_of(node)) < 2:
            assert time.monotonic() - began < 60, "no spare"
            await asyncio.sleep(0.1)
        for stat in pythons:
            os.kill(stat.pid, signal.SIGKILL)
        killed = time.monotonic()
        await relay.close()
        again = await connected_again(node, protocol, killed, 60)
        await again.command(talk.call, "play", control_id="new", play=[{"type": "silence", "params": {"duration": 1}}])
        took = time.monotonic() - killed
        print(f"{len(pythons)} node processes killed: a new command accepted {took:.2f} s later")
        assert took <= max(3.0, 2 * node.started_in_s), f"it started in {node.started_in_s:.1f} s"
        await again.command(talk.call, "end")
        await talk.caller.ended_by_node()
        talk.caller.close()
        await again.close()


async def test_a_call_that_ends_while_the_node_is_dead_ends_with_its_reason(tmp_path: Path) -> None:
    with serving(tmp_path) as node:
        relay = RelayPeer(node)
        await relay.connect()
        talk = await answered(await Caller.open(node.sip()), relay)
        play = [{"type": "ringtone", "params": {"name": "us"}}]
        await relay.command(talk.call, "play", control_id="ring", play=play)
        await relay.event("play", lambda e: e.state == "playing")
        protocol = relay.protocol
        dies = node_of(node).pid
        node.process.send_signal(signal.SIGSTOP)  # so that no other node is there before the call has ended
        try:
            os.kill(dies, signal.SIGKILL)
            await talk.caller.bye()
            killed = time.monotonic()
        finally:
            node.process.send_signal(signal.SIGCONT)
        await relay.close()
        again = await connected_again(node, protocol, killed, 60)
        ended = await again.state(talk.call, "ended")
        print(f"ended while the node was dead: told {time.monotonic() - killed:.2f} s later")
        assert (ended.params["end_reason"], ended.params["end_source"]) == ("hangup", "inbound")
        assert "end_detail" not in ended.params
        own = [e for e in again.of_call(talk.call.call_id) if e.state in {"error", "finished", "ended"}]
        assert [e.state for e in own] == ["error", "ended"]
        talk.caller.close()
        await again.close()


@pytest.mark.parametrize("how", [serving, running_node])
async def test_an_engine_that_is_killed_ends_its_calls_and_the_next_call_works(tmp_path: Path, how: Running) -> None:
    with how(tmp_path) as node:
        async with RelayPeer(node) as relay:
            talk = await answered(await Caller.open(node.sip()), relay)
            os.kill(node.engine().pid, signal.SIGKILL)
            began = time.monotonic()
            ended = await relay.state(talk.call, "ended")
            print(f"engine killed: ended after {time.monotonic() - began:.2f} s")
            assert ended.params["end_reason"] == "error"
            assert ended.params.get("end_detail") == "node_failure"
            assert "restarted" in sentence(await talk.caller.ended_by_node())
            talk.caller.close()
            following = await answered(await Caller.open(node.sip()), relay)
            await following.caller.rtp.hears(1)
            await following.caller.bye()
            await relay.state(following.call, "ended")
            following.caller.close()


@pytest.mark.judges_time
async def test_a_recording_of_an_engine_that_is_killed_is_finished_by_the_next_one(tmp_path: Path) -> None:
    with serving(tmp_path) as node:
        async with RelayPeer(node) as relay:
            talk = await answered(await Caller.open(node.sip()), relay)
            talk.caller.rtp.play(audio.tone(440, 60.0))
            before = talk.caller.rtp.mark()
            await record(talk)
            mark = talk.caller.rtp.mark()
            await talk.caller.rtp.hears(150, mark)
            os.kill(node.engine().pid, signal.SIGKILL)
            lost = await relay.event("record", lambda e: e.state == "error")
            await relay.state(talk.call, "ended")
            await talk.caller.ended_by_node()  # the next engine listens: what is sent to none is lost
            talk.caller.close()
            following = await answered(await Caller.open(node.sip()), relay)
            [speak] = audio.read_wav(await fetch(node, lost.params["url"], tmp_path / "r.wav"))
            least, most = (len(talk.caller.rtp.heard(since)) / 50 for since in (mark, before))
            most += talk.caller.rtp.left_out_s(before)
            print(f"engine killed {least:.2f} s into a recording: {len(speak) / 8000:.2f} s of it are kept")
            assert least - 0.6 <= len(speak) / 8000 <= most + 0.2, "by the packets that the engine sent meanwhile"
            assert audio.steady_share(speak[8000:], 440) > 0.95
            await following.caller.bye()
            following.caller.close()


async def test_an_engine_that_is_killed_says_goodbye_by_tcp_over_a_connection_of_the_next_one(tmp_path: Path) -> None:
    """The connection of the call died with the engine; its Contact says where to open another (RFC 3261 18.1)."""
    with serving(tmp_path) as node:
        async with RelayPeer(node) as relay:
            caller = await Caller.open(node.sip("tcp"), transport="tcp")
            later = remember(SipEndpoint("tcp"))
            server = await asyncio.start_server(later.adopt, "127.0.0.1", 0)
            caller.sip.port = server.sockets[0].getsockname()[1]
            talk = await answered(caller, relay)
            os.kill(node.engine().pid, signal.SIGKILL)
            ended = await relay.state(talk.call, "ended")
            assert ended.params.get("end_detail") == "node_failure"
            bye = await later.request("BYE")
            assert "restarted" in sentence(bye)
            assert bye.get("Call-ID") == caller.call_id
            assert bye.get("To").endswith(f";tag={caller.from_tag}")
            later.respond(bye, 200, "OK")
            server.close()
            caller.close()


async def test_dev_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    app = ROOT / "examples" / "greeter.py"
    node = start(
        ["dev", str(app), "--json", "--state-dir", str(tmp_path / "s"), "--sip-port", "0", "--relay-port", "0"],
        tmp_path / "s",
    )
    try:
        node.wait_ready()
        family = [s.pid for s in processes_of(node.process.pid)]
        assert len(family) >= 4, "supervisor, engine, node, program"
    finally:
        node.process.kill()
        node.process.wait()
        assert node.process.stdout
        node.process.stdout.close()
    left = NodeProcess.left_of(family)
    for stat in left:
        os.kill(stat.pid, signal.SIGKILL)
    assert left == [], f"left behind: {[s.cmdline for s in left]}"


async def test_sigterm_ends_calls_politely(tmp_path: Path) -> None:
    state = tmp_path / "s"
    node = start(["dev", "--json", "--state-dir", str(state), "--sip-port", "0", "--relay-port", "0"], state)
    node.wait_ready()
    relay = RelayPeer(node)
    await relay.connect()
    talk = await answered(await Caller.open(node.sip()), relay)
    ending = asyncio.create_task(asyncio.to_thread(node.end))
    await talk.caller.ended_by_node()
    assert await ending == 0
    await relay.close()
    talk.caller.close()
