"""``run()``: SIGINT and SIGTERM let running handlers finish, and the process leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from offhook.testing.node import ScriptedNode

ROOT = Path(__file__).resolve().parents[3]

APP = """
import logging, sys
from offhook import RelayClient

logging.getLogger("asyncio").setLevel(logging.ERROR)  # not how slow the machine is

client = RelayClient("project", "token", sys.argv[1], ["default"], drain_timeout=float(sys.argv[2]))

@client.on_call
async def handle(call):
    print("handling", flush=True)
    await call.answer()
    action = await call.play_silence(60)
    event = await action.wait()
    print("played", event.params.get("state"), flush=True)
    await call.hangup()
    print("hung up", flush=True)

client.run()
print("left", flush=True)
"""


async def start(node: ScriptedNode, drain_timeout_s: float) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-W", "error", "-c", APP, node.host, str(drain_timeout_s)),
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finished(process: asyncio.subprocess.Process) -> tuple[str, str]:
    try:
        output, errors = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    return output.decode(), errors.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_takes_no_more_calls_and_lets_the_handler_finish(
    node: ScriptedNode, number: signal.Signals
) -> None:
    node.hold("calling.play")
    process = await start(node, 20)
    await node.until_connected(timeout_s=10)
    call = await node.offer()
    control_id = (await call.until("calling.play"))["control_id"]
    process.send_signal(number)
    assert await node.until("signalwire.unreceive") == {"contexts": ["default"]}
    await call.finish(control_id)
    output, errors = await finished(process)
    assert output.split("\n") == ["handling", "played finished", "hung up", "left", ""]
    assert errors == ""


async def test_a_handler_that_takes_too_long_is_cancelled(node: ScriptedNode) -> None:
    node.hold("calling.play")
    process = await start(node, 0.1)
    await node.until_connected(timeout_s=10)
    await (await node.offer()).until("calling.play")
    process.send_signal(signal.SIGTERM)
    output, errors = await finished(process)
    assert output.split("\n") == ["handling", "left", ""]
    assert re.fullmatch("cancelled, since it took too long: on_call handler [^ ]+\n", errors)


async def test_a_second_signal_ends_at_once(node: ScriptedNode) -> None:
    node.hold("calling.play")
    process = await start(node, 60)
    await node.until_connected(timeout_s=10)
    await (await node.offer()).until("calling.play")
    process.send_signal(signal.SIGTERM)
    await node.until("signalwire.unreceive")
    process.send_signal(signal.SIGTERM)
    output, _ = await finished(process)
    assert output.split("\n") == ["handling", "left", ""]
