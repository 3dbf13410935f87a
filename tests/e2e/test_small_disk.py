"""A node on a disk that prompts would fill: what is kept for calls is there, and they go on."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest

from rig.dialog import Caller
from rig.disk import free_bytes, small_disk
from rig.fixtures import answered
from rig.node import ROUTES, NodeProcess, serving
from rig.relay import Event, RelayPeer

PATIENCE_S = 60.0
MIB = 1 << 20
DISK_MIB = 32
TEXTS = 42
"""In three calls: one may have 16 plays."""
SETTINGS = f"{ROUTES}\n[tts]\nwait_s = 60\n"
SENTENCE = "The quick brown fox jumps over the lazy dog, and then goes home. "


async def play(relay: RelayPeer, call: Event, number: int) -> None:
    text = f"Text number {number}. {SENTENCE * 60}"
    media = [{"type": "tts", "params": {"text": text}}]
    await relay.command(call, "play", control_id=f"text {number}", play=media)


def is_for_want_of_room(message: str) -> bool:
    return message.startswith(("the prompt could not be written", "the disk has"))


def failed(relay: RelayPeer) -> list[Event]:
    """The texts that ended so."""
    return [event for event in relay.events if event.type == "calling.call.play" and event.state == "error"]


async def full_call(node: NodeProcess, relay: RelayPeer, text: str) -> None:
    """One that begins, says a short text that is new, or is told why there is no room for it, and ends."""
    talk = await answered(await Caller.open(node.sip()), relay)
    await relay.command(talk.call, "play", control_id=text, play=[{"type": "tts", "params": {"text": text}}])
    told = await relay.event("play", lambda e: e.params["control_id"] == text)
    assert told.state == "playing" or is_for_want_of_room(told.params["message"])
    await talk.caller.bye()
    await relay.state(talk.call, "ended")
    talk.caller.close()


@pytest.mark.timeout(300)
async def test_prompts_leave_a_twentieth_of_a_small_disk_to_calls_and_room_comes_back(tmp_path: Path) -> None:
    """Speech filled the disk of the journal: the next INVITE was refused."""
    with small_disk(tmp_path / "state", DISK_MIB) as at, serving(tmp_path, SETTINGS) as node:
        async with RelayPeer(node) as relay:
            talks = [await answered(await Caller.open(node.sip()), relay) for _ in range(3)]
            marks = [talk.caller.rtp.mark() for talk in talks]
            least = free_bytes(at)
            for number in range(TEXTS):
                await play(relay, talks[number % 3].call, number)
            began = time.monotonic()
            while len(failed(relay)) < 10:
                least = min(least, free_bytes(at))
                assert time.monotonic() - began < PATIENCE_S * 2, f"{len(failed(relay))} of {TEXTS} texts failed"
                await asyncio.sleep(0.02)
            why = Counter(event.params.get("message", "") for event in failed(relay))
            print(f"least free {least / MIB:.2f} MiB of {DISK_MIB}; {why}")
            assert all(is_for_want_of_room(message) for message in why)
            assert least >= DISK_MIB * MIB / 20
            for word in ("One.", "Two.", "Three."):
                await full_call(node, relay, word)
            assert [talk.caller.rtp.broken(mark) for talk, mark in zip(talks, marks, strict=True)] == [[], [], []]
            assert "journal write refused" not in node.log()
            for talk in talks:
                await talk.caller.bye()
                await relay.state(talk.call, "ended")
                talk.caller.close()
            again = await answered(await Caller.open(node.sip()), relay)
            await play(relay, again.call, TEXTS)
            event = await relay.event("play", lambda e: e.params["control_id"] == f"text {TEXTS}")
            assert event.state == "playing"
            await again.caller.bye()
            again.caller.close()
