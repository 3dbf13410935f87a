"""Half a character, in what the server says and in what the program says: nothing of it ends a session or a call."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest

from offhook import PlayEvent
from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from offhook.client.session.frames import EventFrame, parse_incoming
from offhook.errors import CallerError, ConfigurationError
from offhook.protocol.frames import Request, Response
from offhook.testing.node import ScriptedCall, ScriptedNode
from offhook.testing.replay import read_recording

EVENT = "signalwire.event"


def tts(text: str) -> list[Any]:
    return [{"type": "tts", "params": {"text": text}}]


async def offered(node: ScriptedNode, client: RelayClient) -> tuple[Call, ScriptedCall]:
    caught: asyncio.Future[Call] = asyncio.get_running_loop().create_future()

    @client.on_call
    async def handle(call: Call) -> None:
        caught.set_result(call)

    party = await node.offer()
    return await caught, party


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00", "\\ud83d\\ud83d"])
def test_an_event_with_half_a_character_arrives_as_unicode(half: str) -> None:
    body = f'{{"event_type":"calling.call.collect","params":{{"text":"so {half}","{half}":1}}}}'
    frame = parse_incoming(f'{{"id":"e1","method":"{EVENT}","params":{body}}}')
    assert isinstance(frame, EventFrame)
    assert frame.id == "e1"
    assert frame.params.params["text"].startswith("so \ufffd")
    json.dumps(frame.params.params, ensure_ascii=False).encode()


def test_a_reply_and_a_ping_with_half_a_character_arrive_as_unicode() -> None:
    assert parse_incoming('{"id":"1","result":{"message":"\\ud83d"}}') == Response(id="1", result={"message": "\ufffd"})
    assert parse_incoming('{"id":"1","method":"m","params":{"tag":"\\ud83d"}}') == Request("1", "m", {"tag": "\ufffd"})
    event = parse_incoming(
        f'{{"id":"1","method":"{EVENT}","params":{{"event_type":"t","params":{{"tag":"\\ude00"}}}}}}'
    )
    assert isinstance(event, EventFrame)


async def test_a_server_that_says_half_a_character_keeps_its_session(node: ScriptedNode, client: RelayClient) -> None:
    call, party = await offered(node, client)
    heard: asyncio.Future[PlayEvent] = asyncio.get_running_loop().create_future()
    call.on("calling.call.play", heard.set_result)
    session = next(iter(node._sessions.values()))
    body = {
        "event_type": "calling.call.play",
        "params": {"call_id": party.call_id, "control_id": "p", "state": "x\ud83d"},
    }
    await session.send(json.dumps({"jsonrpc": "2.0", "id": "half", "method": EVENT, "params": body}))
    assert (await asyncio.wait_for(heard, 30)).state == "x\ufffd"
    await call.answer()
    assert client.is_connected


@pytest.mark.parametrize("text", ["Well done \ud83d", "\ude00 is the end", "a\udc80"], ids=["high", "low", "no UTF-8"])
async def test_a_text_with_half_a_character_is_refused_by_name_and_costs_nothing(
    node: ScriptedNode, client: RelayClient, text: str
) -> None:
    call, _ = await offered(node, client)
    await call.answer()
    with pytest.raises(CallerError, match=r"calling\.play: `play\[0\]\.params\.text` has half a character") as refused:
        await call.play_tts(text)
    str(refused.value).encode()
    assert call._running.by_id == {}
    with pytest.raises(CallerError, match="half a character"):
        await client.execute("calling.play", {"\ud83d": 1})
    action = await call.play_tts("Well done")
    await action.wait(5)
    await call.hangup()
    assert [method for method, _ in node.requests].count("calling.play") == 1


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
async def test_a_number_that_is_none_is_refused_by_name_and_not_sent_as_nothing(
    node: ScriptedNode, client: RelayClient, number: float
) -> None:
    call, _ = await offered(node, client)
    await call.answer()
    with pytest.raises(CallerError, match="`volume`"):
        await call.play(tts("hello"), volume=number)
    assert not [method for method, _ in node.requests if method == "calling.play"]
    await call.play([{"type": "tts", "params": {"text": "null", "voice": None}}])


async def test_what_json_cannot_hold_is_refused_with_the_method(node: ScriptedNode, client: RelayClient) -> None:
    call, _ = await offered(node, client)
    with pytest.raises(CallerError, match=r"calling\.user_event: .*object"):
        await call.user_event(event={"a": object()})


async def test_a_dial_with_half_a_character_leaves_nothing_pending(node: ScriptedNode, client: RelayClient) -> None:
    device: Any = {"type": "sip", "params": {"to": "sip:bob@127.0.0.1", "from_name": "Zo\ud83d"}}
    with pytest.raises(CallerError, match="from_name"):
        await client.dial([[device]], tag="t")
    del device["params"]["from_name"]
    await client.dial([[device]], tag="t")


async def test_while_the_connection_is_away_it_is_refused_at_once(node: ScriptedNode, client: RelayClient) -> None:
    await node.drop()
    with pytest.raises(CallerError, match="half a character"):
        await client.execute("calling.play", {"text": "\ud83d"})


@pytest.mark.parametrize("name", ["project", "token", "jwt_token", "contexts"])
def test_settings_with_half_a_character_are_refused_by_name(name: str) -> None:
    """Also what the environment has that is no UTF-8 (PEP 383)."""
    given: dict[str, Any] = {"project": "p", "token": "t", "host": "localhost"}
    given[name] = ["office", "a\udc80"] if name == "contexts" else "a\udc80"
    with pytest.raises(ConfigurationError) as refused:
        RelayClient(**given)
    assert refused.value.setting == name
    str(refused.value).encode()


async def test_a_recording_of_half_a_character_can_be_played_again(node: ScriptedNode, tmp_path: Path) -> None:
    client = RelayClient("project", "token", node.host, ["default"], record_session=tmp_path / "s.jsonl")
    async with client:
        call, party = await offered(node, client)
        heard: asyncio.Future[PlayEvent] = asyncio.get_running_loop().create_future()
        call.on("calling.call.play", heard.set_result)
        session = next(iter(node._sessions.values()))
        body = {"event_type": "calling.call.play", "params": {"call_id": party.call_id, "state": "x\ud83d"}}
        await session.send(json.dumps({"jsonrpc": "2.0", "id": "half", "method": EVENT, "params": body}))
        await asyncio.wait_for(heard, 30)
        await call.answer()
    recording = read_recording(tmp_path / "s.jsonl")
    told = [
        line.frame for line in recording.lines if line.what == "in" and line.frame and line.frame.get("id") == "half"
    ]
    assert [frame["params"]["params"]["state"] for frame in told] == ["x\ud83d"]
