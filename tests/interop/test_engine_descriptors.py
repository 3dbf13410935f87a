"""File descriptors of the engine: it takes what the system allows, and without one tells callers to come later."""

from __future__ import annotations

import asyncio
import json
import os
import resource
from pathlib import Path

import pytest

from offhook.node.engine import ops, reports
from offhook.node.engine.launch import EngineOptions, find_engine, launch_engine
from offhook.testing.phone import CallFailed, Phone
from rig.engine import running_engine


def limit_with(pid: int, spare: int) -> int:
    """The limit below which so many numbers of descriptors are free."""
    taken = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    return [number for number in range(len(taken) + spare + 1) if number not in taken][spare]


async def test_the_engine_raises_its_soft_limit_to_the_hard_one():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    try:
        async with running_engine() as engine:
            assert resource.prlimit(engine.launched.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_too_few_descriptors_for_max_calls_are_told_at_the_start_and_fewer_calls_are_taken(tmp_path):
    program = tmp_path / "engine"
    program.write_text(f'#!/bin/sh\nexec prlimit --nofile=128:128 {find_engine()} "$@"\n')
    program.chmod(0o755)
    for name in ("prompts", "recordings", "home"):
        (tmp_path / name).mkdir(mode=0o700)
    warnings: asyncio.Queue[dict[str, object]] = asyncio.Queue()

    def hear(line: bytes) -> None:
        told = json.loads(line)
        if told["level"] == "warning":
            warnings.put_nowait(told)

    options = EngineOptions(
        socket=Path(os.path.relpath(tmp_path / "home" / "s")),
        prompts=tmp_path / "prompts",
        recordings=tmp_path / "recordings",
        max_calls=100,
    )
    launched = await launch_engine(program, options, bytes(32), hear=hear)
    try:
        told = await asyncio.wait_for(warnings.get(), 30)
        assert str(told["event"]).startswith("too few descriptors for engine.max_calls: raise the hard limit")
        assert {name: told[name] for name in ("limit", "needed", "max_calls", "calls")} == {
            "limit": 128,
            "needed": 456,
            "max_calls": 100,
            "calls": 32,
        }
    finally:
        await launched.end()


async def test_without_a_descriptor_a_caller_gets_503_and_calls_that_live_go_on():
    async with Phone() as alice, running_engine() as engine:
        controller, welcome = await engine.connected()
        pid = engine.launched.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        answering = asyncio.create_task(alice.call(f"sip:1@{welcome.sip_udp}"))
        leg = (await controller.sees(reports.LegIncoming)).leg
        await controller.port.execute(ops.LegAnswer(id=1, leg=leg))
        hers = await answering
        for spare in (0, 1):  # none to look for the way to the caller's media, and then none for its sockets
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit_with(pid, spare), hard))
            with pytest.raises(CallFailed) as failed:
                await alice.call(f"sip:2@{welcome.sip_udp}")
            assert failed.value.ended.status == 503
            assert "no socket is left for media (Too many open files" in failed.value.ended.reason
        await controller.port.execute(ops.Play(id=2, leg=leg, sources=[ops.ToneSource([ops.Tone(400, [440.0])])]))
        await hers.hears_tone(440, within_s=30)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        again = asyncio.create_task(alice.call(f"sip:3@{welcome.sip_udp}"))
        other = await controller.sees(reports.LegIncoming, lambda report: report.leg != leg)
        await controller.port.execute(ops.LegAnswer(id=3, leg=other.leg))
        await again
