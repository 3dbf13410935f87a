"""Our SDK as the client of a real node that refuses it, is stopped, is killed, and is cut off."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from offhook import Call, RelayClient, RelayEvent
from offhook.errors import ConnectionLost, DialFailed, RelayError
from offhook.testing.replay import Replay, read_recording
from rig import audio
from rig.chopper import Chopper
from rig.dialog import Caller
from rig.fixtures import AudioServer, Callers
from rig.node import NodeProcess, processes_of, serving
from rig.ports import free_port
from rig.responder import Responder
from rig.waiting import until

WITHIN_S = 60.0
"""How long anything may take before a test gives it up; nothing is judged by it."""


def make_client(node: NodeProcess, **more: Any) -> RelayClient:
    given = {"token": node.token, "host": node.relay_host, "contexts": ["default"], **more}
    return RelayClient(node.project, ca_file=str(node.ca_file), **given)


@asynccontextmanager
async def connected(node: NodeProcess, **more: Any) -> AsyncIterator[tuple[RelayClient, asyncio.Queue[Call]]]:
    """A client and the calls that are offered to it; it leaves no task behind."""
    before = asyncio.all_tasks()
    client, calls = make_client(node, **more), asyncio.Queue[Call]()
    client.on_call(calls.put)
    async with client:
        yield client, calls
    left = [task for task in asyncio.all_tasks() - before if task.get_name().startswith("offhook")]
    assert left == []


async def talking(caller: Caller, calls: asyncio.Queue[Call]) -> Call:
    """A call that the client answered."""
    caller.invite()
    call = await asyncio.wait_for(calls.get(), WITHIN_S)
    await call.answer()
    await caller.accept(WITHIN_S)
    await call.wait_for_answered(WITHIN_S)
    return call


def device(responder: Responder) -> list[list[dict[str, Any]]]:
    return [[{"type": "sip", "params": {"to": responder.uri, "from": "sip:test@localhost", "timeout": 60}}]]


def kill_nodes(node: NodeProcess) -> None:
    """The node and its spare, at once and without a word."""
    for stat in processes_of(node.process.pid):
        if stat.parent == node.process.pid and "offhook.node.app" in stat.cmdline:
            os.kill(stat.pid, signal.SIGKILL)


@pytest.fixture
async def responder() -> AsyncIterator[Responder]:
    made = await Responder.open()
    yield made
    made.close()


async def test_wrong_credentials_are_tried_three_times_and_end_with_the_servers_message(node: NodeProcess) -> None:
    client = make_client(node, token="PT-of-somebody-else")
    before = node.log().count("connect refused")
    with pytest.raises(RelayError) as refused:
        await client.connect()
    assert refused.value.code == -32002
    assert len(refused.value.message.split()) >= 4, refused.value.message
    assert node.log().count("connect refused") == before + 3
    with pytest.raises(ConnectionLost, match="not connected"):
        await client.receive(["default"])


async def test_a_node_that_is_stopped_and_started_again_has_its_client_back(tmp_path: Path) -> None:
    """What was asked meanwhile is asked then; nobody has to subscribe again."""
    session = tmp_path / "session.jsonl"
    ports = {"OFFHOOK_RELAY_PORT": str(free_port())}
    with serving(tmp_path, extra=ports) as node:
        client, calls = make_client(node, record_session=session), asyncio.Queue[Call]()
        client.on_call(calls.put)
        await client.connect()
        node.process.send_signal(signal.SIGTERM)
        await until(lambda: not client.is_connected, "the client notices")
        assert await asyncio.to_thread(node.process.wait, WITHIN_S) == 0
    asked = asyncio.create_task(client.receive(["more"]))
    with serving(tmp_path, extra=ports) as node:
        assert (await asyncio.wait_for(asked, WITHIN_S))["code"] == "200"
        caller = await Caller.open(node.sip())
        call = await talking(caller, calls)
        await call.hangup()
        await caller.ended_by_node(WITHIN_S)
        caller.close()
        await client.disconnect()
    frames = [line.frame for line in read_recording(session).lines if line.frame]
    connects = [frame["params"] for frame in frames if frame.get("method") == "signalwire.connect"]
    names = [frame["result"]["protocol"] for frame in frames if "protocol" in frame.get("result", {})]
    assert set(names) == {connects[-1]["protocol"]}, "it is another session"
    told = [frame["params"] for frame in frames if frame.get("method") == "signalwire.disconnect"]
    assert told == [{"restart": False}]


async def test_a_call_that_goes_on_while_its_node_is_being_stopped_ends_before_the_goodbye(tmp_path: Path) -> None:
    with serving(tmp_path, extra={"OFFHOOK_LIMITS_DRAIN_S": "60"}) as node:
        async with connected(node) as (client, calls):
            caller = await Caller.open(node.sip())
            call = await talking(caller, calls)
            node.process.send_signal(signal.SIGTERM)
            await until(lambda: "draining" in node.log(), "it drains")
            with pytest.raises(RelayError, match="being restarted"):
                await client.dial([[{"type": "sip", "params": {"to": "sip:x@127.0.0.1:9"}}]])
            playing = await call.play_silence(0.1)
            assert (await playing.wait(WITHIN_S)).params["state"] == "finished"
            await call.hangup()
            ended = await call.wait_for_ended(WITHIN_S)
            assert (ended.params["end_reason"], ended.cause) == ("hangup", None)
            await caller.ended_by_node(WITHIN_S)
            caller.close()
            assert await asyncio.to_thread(node.process.wait, WITHIN_S) == 0


@pytest.mark.parametrize("is_back", [False, True], ids=["while it is away", "when it is back"])
async def test_a_node_that_is_killed_costs_its_client_no_call_no_dial_and_no_event(
    tmp_path: Path, audio_server: AudioServer, responder: Responder, is_back: bool
) -> None:
    """A prompt goes on, other verbs under way end with an error; a dial that rang is answered while the node is away,
    or afterwards."""
    url = audio_server.publish("tone.wav", audio.tone(440, 1.0))
    seen: Counter[tuple[str, ...]] = Counter()

    def note(event: RelayEvent) -> None:
        words = [str(event.params.get(key, "")) for key in ("control_id", "state", "call_state")]
        seen[(event.event_type, event.call_id, *words)] += 1

    with serving(tmp_path) as node:
        async with connected(node) as (client, calls):
            callers = [await Caller.open(node.sip()) for _ in range(3)]
            talks = [await talking(caller, calls) for caller in callers]
            finished, lasting, collects = [], [], []
            for call in talks:
                for kind in ("play", "collect", "state"):
                    call.on(f"calling.call.{kind}", note)
                finished.append(await call.play_audio(url))
                await finished[-1].wait(WITHIN_S)
                lasting.append(await call.play([{"type": "audio", "params": {"url": url}}], loop=0))
                collects.append(await call.collect(digits={"max": 9}, initial_timeout=600))
            await until(lambda: sum(key[3] == "playing" for key in seen) == 6, "all play")
            for _ in range(2):  # the node has read, and written down, the acks that went before; others are told again
                await client.receive(["default"])
            dialling = asyncio.create_task(client.dial(device(responder), tag="pending", dial_timeout=WITHIN_S))
            await responder.offered(WITHIN_S)
            responder.ring()
            await until(lambda: any(call.tag == "pending" and call.state == "ringing" for call in client.calls), "ring")
            kill_nodes(node)
            await until(lambda: not client.is_connected, "the client notices")
            if is_back:
                await until(lambda: client.is_connected, "it is back")
            responder.answer()
            await responder.acknowledged(WITHIN_S)
            dialled = await asyncio.wait_for(dialling, WITHIN_S)
            assert (dialled.state, dialled.tag) == ("answered", "pending")
            assert [(await action.wait(WITHIN_S)).params["state"] for action in finished] == ["finished"] * 3
            assert [(await action.wait(WITHIN_S)).params["result"]["type"] for action in collects] == ["error"] * 3
            for action in lasting:
                assert not action.is_done
                await action.stop()
                assert (await action.wait(WITHIN_S)).params["state"] == "finished"
            for call in [dialled, *talks]:
                again = await call.play_silence(0.1)
                assert (await again.wait(WITHIN_S)).params["state"] == "finished"
                await call.hangup()
            await responder.ended(WITHIN_S)
            for caller in callers:
                await caller.ended_by_node(WITHIN_S)
                caller.close()
            for call in [dialled, *talks]:
                ended = await call.wait_for_ended(WITHIN_S)
                assert (ended.params["end_reason"], ended.cause) == ("hangup", None)
    assert set(seen.values()) == {1}, {key: count for key, count in seen.items() if count > 1}
    assert sum(key[0] == "calling.call.collect" for key in seen) == 3


async def test_requests_queue_while_the_node_is_away_and_fail_beyond_the_bound(tmp_path: Path) -> None:
    with serving(tmp_path) as node:
        async with connected(node) as (client, _calls):
            kill_nodes(node)
            await until(lambda: not client.is_connected, "the client notices")
            asked = [asyncio.create_task(client.receive([f"context-{number % 9}"])) for number in range(505)]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            beyond = [task for task in asked if task.done()]
            assert beyond == asked[500:]
            for task in beyond:
                with pytest.raises(ConnectionLost, match="queue full") as failed:
                    task.result()
                assert not failed.value.was_sent
            async with asyncio.timeout(WITHIN_S):
                results = await asyncio.gather(*asked[:500])
            assert {result["code"] for result in results} == {"200"}


async def test_a_dial_that_is_given_up_leaves_no_leg(node: NodeProcess, responder: Responder) -> None:
    """signalwire-legacy-js#1329: a call that was answered for nobody."""
    async with connected(node, contexts=[]) as (client, _calls):
        dialling = asyncio.create_task(client.dial(device(responder), tag="given up"))
        await responder.offered(WITHIN_S)
        responder.ring()
        await until(lambda: bool(client.calls), "the leg is known")
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        cancel = await responder.sip.request("CANCEL", WITHIN_S)
        responder.sip.respond(cancel, 200, "OK")
        responder.answer()  # it was too late: answered for nobody
        await responder.acknowledged(WITHIN_S)
        await responder.ended(WITHIN_S)
        await until(lambda: not client.calls, "no leg is left")
        late = asyncio.create_task(client.dial(device(responder), dial_timeout=0.05))
        await responder.offered(WITHIN_S)
        responder.ring()
        with pytest.raises(DialFailed, match="timed out"):
            await late
        await responder.cancelled(WITHIN_S)
        await until(lambda: not client.calls, "no leg is left")


async def test_a_socket_that_is_cut_again_and_again_costs_no_command_and_no_event(
    node: NodeProcess, callers: Callers
) -> None:
    """Each command runs once and each event comes once, without a word of the program about it."""
    events: dict[str, list[str]] = {}
    async with (
        Chopper(("127.0.0.1", node.relay_port), 11, 5, later=(4_000, 12_000)) as chopper,
        connected(node, host=chopper.host) as (client, calls),
    ):
        caller = await callers()
        call = await talking(caller, calls)
        call.on("calling.call.play", lambda e: events.setdefault(e.control_id, []).append(e.params["state"]))
        chopper.armed = True
        done = []
        async with asyncio.timeout(100):
            while not chopper.done.is_set():
                action = await call.play_silence(0.02)
                done.append(action.control_id)
                await action.wait()
            chopper.armed = False
            await until(lambda: client.is_connected, "it is back")
            await call.hangup()
        await caller.ended_by_node(WITHIN_S)
        await call.wait_for_ended(WITHIN_S)
    print(f"{len(done)} commands through {chopper.cuts} cuts")
    assert events == {control_id: ["playing", "finished"] for control_id in done}


async def test_a_dial_that_is_answered_while_its_client_is_away_is_told_when_it_is_back(
    node: NodeProcess, responder: Responder
) -> None:
    async with (
        Chopper(("127.0.0.1", node.relay_port), 12, 1, later=(1, 1), early_share=0) as chopper,
        connected(node, host=chopper.host, contexts=[]) as (client, _calls),
    ):
        dialling = asyncio.create_task(client.dial(device(responder), tag="pending", dial_timeout=WITHIN_S))
        await responder.offered(WITHIN_S)
        chopper.armed = True
        responder.ring()
        await until(lambda: not client.is_connected, "the client notices")
        responder.answer()
        await responder.acknowledged(WITHIN_S)
        call = await asyncio.wait_for(dialling, WITHIN_S)
        assert (call.state, call.tag, chopper.cuts) == ("answered", "pending", 1)
        await call.hangup()
        await responder.ended(WITHIN_S)
        await call.wait_for_ended(WITHIN_S)


async def ivr(call: Call) -> list[tuple[str, Any, Any]]:
    """A small program, and the events that it saw."""
    events: list[RelayEvent] = []
    for kind in ("state", "play", "collect", "record"):
        call.on(f"calling.call.{kind}", events.append)
    await call.answer()
    recording = await call.record()
    prompt = await call.prompt_tts("Press one.", {"digits": {"max": 1}, "initial_timeout": WITHIN_S})
    await prompt.wait(WITHIN_S)
    playing = await call.play_silence(0.1)
    await playing.wait(WITHIN_S)
    await recording.stop()
    await recording.wait(WITHIN_S)
    await call.hangup()
    await call.wait_for_ended(WITHIN_S)
    return [(e.event_type, e.params.get("state"), e.params.get("result")) for e in events]


async def test_a_session_of_the_node_is_written_down_and_played_again(
    node: NodeProcess, callers: Callers, tmp_path: Path
) -> None:
    session = tmp_path / "session.jsonl"
    async with connected(node, record_session=session) as (_client, calls):
        caller = await callers()
        caller.invite()
        running = asyncio.create_task(ivr(await asyncio.wait_for(calls.get(), WITHIN_S)))
        await caller.accept(WITHIN_S)
        await until(lambda: len(caller.rtp.heard()) > 50, "media flows")
        caller.rtp.digit("1")
        await caller.ended_by_node(WITHIN_S)
        before = await running
    text = session.read_text()
    assert node.token not in text
    assert node.project not in text
    recording = read_recording(session)
    async with Replay(recording, patience_s=WITHIN_S) as replay:
        client, offered = RelayClient("project", "token", replay.host, ["default"]), asyncio.Queue[Call]()
        client.on_call(offered.put)
        async with client:
            after = await ivr(await asyncio.wait_for(offered.get(), WITHIN_S))
            await asyncio.wait_for(replay.finished(), WITHIN_S)
    assert after == before
    kinds = [kind for kind, _, _ in before]
    assert kinds.count("calling.call.collect") == 1
    assert kinds.count("calling.call.record") == 2
    assert before[-1][0] == "calling.call.state"
