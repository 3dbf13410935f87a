"""A session is written down with its secrets masked, and played again at the SDK."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from offhook.client.events import RelayEvent
from offhook.client.transport.recording import SessionRecorder, mask
from offhook.errors import ConfigurationError, OffhookError
from offhook.testing.node import ScriptedNode
from offhook.testing.replay import Replay, ReplayMismatch, read_recording

TOKEN = "PT0123456789abcdef"
PROJECT = "b1f0c6de-1111-4a2b-9c3d-000000000001"


def serving(host: str, **more: Any) -> tuple[RelayClient, asyncio.Future[list[RelayEvent]]]:
    """A client with a small IVR, and what it will have seen."""
    client = RelayClient(PROJECT, TOKEN, host, ["default"], **more)
    seen: asyncio.Future[list[RelayEvent]] = asyncio.get_running_loop().create_future()

    @client.on_call
    async def ivr(call: Call) -> None:
        await call.answer()
        prompt = await call.play_and_collect([{"type": "silence", "params": {"duration": 1}}], {"digits": {"max": 1}})
        events = [await prompt.wait(5)]
        recording = await call.record()
        events.append(await recording.wait(5))
        await call.hangup()
        events.append(await call.wait_for_ended(5))
        seen.set_result(events)

    return client, seen


async def record(path: Path, *, cut: bool = False) -> list[RelayEvent]:
    async with ScriptedNode(PROJECT, TOKEN) as node:
        client, seen = serving(node.host, record_session=path)
        await client.connect()
        party = await node.offer()
        await party.until("calling.play_and_collect")
        if cut:
            await node.drop()
            await node.until_connected(2)
        await party.press("7")
        events = await asyncio.wait_for(seen, 30)
        await client.disconnect()
        return events


async def test_a_recording_has_every_frame_with_its_time(tmp_path: Path) -> None:
    await record(tmp_path / "s.jsonl")
    recording = read_recording(tmp_path / "s.jsonl")
    assert [frame["method"] for frame in recording.requests] == [
        "signalwire.connect",
        "calling.answer",
        "calling.play_and_collect",
        "calling.record",
        "calling.end",
    ]
    assert [line.what for line in recording.lines][:3] == ["open", "out", "in"]
    assert recording.lines[-1].what == "closed"
    times = [line.at for line in recording.lines]
    assert times == sorted(times)
    acks = [line for line in recording.lines if line.what == "out" and line.frame and "result" in line.frame]
    assert len(acks) == len(recording.events)
    assert recording.agent.startswith("offhook-python/")


async def test_secrets_are_nowhere_in_a_recording(tmp_path: Path) -> None:
    await record(tmp_path / "s.jsonl", cut=True)
    text = (tmp_path / "s.jsonl").read_text()
    for secret in (TOKEN, PROJECT, "c2NyaXB0ZWQ=:bm9kZQ=="):
        assert secret not in text
    assert '"token":"***"' in text
    assert (tmp_path / "s.jsonl").stat().st_mode & 0o077 == 0


def test_a_secret_that_is_repeated_elsewhere_is_masked_there_too() -> None:
    secrets: set[str] = set()
    frame = {"authentication": {"token": TOKEN}, "error": {"message": f"bad token {TOKEN}"}, "list": [TOKEN, 1]}
    masked = {"authentication": {"token": "***"}, "error": {"message": "bad token ***"}, "list": ["***", 1]}
    assert mask(frame, secrets) == masked
    assert mask({"text": f"<{TOKEN}>"}, secrets) == {"text": "<***>"}


@pytest.mark.parametrize("cut", [False, True])
async def test_a_replay_brings_the_same_events(tmp_path: Path, cut: bool) -> None:
    before = await record(tmp_path / "s.jsonl", cut=cut)
    async with Replay(read_recording(tmp_path / "s.jsonl")) as replay:
        client, seen = serving(replay.host)
        await client.connect()
        after = await asyncio.wait_for(seen, 30)
        await replay.finished()
        await client.disconnect()
    kinds = [(event.event_type, event.params.get("state"), event.params.get("result")) for event in before]
    assert [(event.event_type, event.params.get("state"), event.params.get("result")) for event in after] == kinds


async def test_a_replay_says_what_the_client_did_not_do(tmp_path: Path) -> None:
    await record(tmp_path / "s.jsonl")
    async with Replay(read_recording(tmp_path / "s.jsonl"), patience_s=0.2) as replay:
        client = RelayClient(PROJECT, TOKEN, replay.host, ["default"])
        client.on_call(lambda call: call.hangup())
        await client.connect()
        with pytest.raises(ReplayMismatch, match=r"\(calling.answer\); it asked \['calling.end'\]"):
            await replay.finished()
        await client.disconnect()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: not JSON"),
        ("[]", "line 1: not a JSON object"),
        ('{"format": "other"}', "line 1: not a recording"),
        ('{"format": "offhook-session", "version": 1}\n{"at": 1, "what": "sleep"}', "line 2: Invalid enum value"),
    ],
)
def test_what_is_no_recording_is_told_by_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "s.jsonl").write_text(text)
    with pytest.raises(OffhookError, match=sentence):
        read_recording(tmp_path / "s.jsonl")


async def test_a_recording_that_cannot_be_written_is_told_before_connecting(node: ScriptedNode, tmp_path: Path) -> None:
    client = RelayClient("project", "token", node.host, record_session=tmp_path / "none" / "s.jsonl")
    with pytest.raises(ConfigurationError, match=r"record_session.*s\.jsonl cannot be written"):
        await client.connect()


def test_text_that_is_no_frame_is_kept_as_text(tmp_path: Path) -> None:
    recorder = SessionRecorder(tmp_path / "s.jsonl", agent="a", clock=lambda: 1.0)
    recorder.received("{not json")
    recorder.close()
    recorder.received("after the end nothing is written")
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert lines[1:] == [{"at": 0.0, "what": "in", "text": "{not json"}]


def test_the_file_is_for_its_owner_alone_from_the_moment_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was made readable for all, and taken back a moment later."""
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    before = os.umask(0)
    try:
        SessionRecorder(tmp_path / "s.jsonl", agent="a", clock=lambda: 0.0).close()
    finally:
        os.umask(before)
    assert (tmp_path / "s.jsonl").stat().st_mode & 0o777 == 0o600
