"""``run()``: SIGINT and SIGTERM let running handlers finish, and the process leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from offhook.testing.node import ScriptedNode
from rig.raw_server import serve_raw

ROOT = Path(__file__).resolve().parents[4]

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
        output, errors = await asyncio.wait_for(process.communicate(), 30)
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


async def start_waiting(host: str, before: str = "") -> asyncio.subprocess.Process:
    """A program without a call: it says what it logs."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-W", "error", "-c", before + APP, host, "20"),
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ends_soon(process: asyncio.subprocess.Process) -> None:
    """Much sooner than the drain time-out, also on a busy machine."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    output, _ = await finished(process)
    assert output == "left\n"
    assert loop.time() - began < 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("state", ["gone", "silent"])
async def test_a_signal_ends_a_program_whose_node_is_away(
    node: ScriptedNode, state: str, number: signal.Signals
) -> None:
    """Nothing but SIGKILL ended it: it waited to tell the node that it takes no more calls."""
    process = await start_waiting(node.host)
    await node.until_connected(timeout_s=10)
    if state == "silent":
        node.freeze()
    else:
        await node.__aexit__()
        await read_until(process, "connection lost")
    process.send_signal(number)
    await ends_soon(process)


async def read_until(process: asyncio.subprocess.Process, what: str) -> None:
    assert process.stderr is not None
    async with asyncio.timeout(10):
        while what not in (await process.stderr.readline()).decode():
            pass


async def test_a_signal_ends_a_program_that_never_found_its_node() -> None:
    process = await start_waiting("ws://127.0.0.1:1")
    await read_until(process, "connection lost")
    process.send_signal(signal.SIGINT)
    await ends_soon(process)


SILENT_NAMES = """
import socket, time
numbers = socket.getaddrinfo

def ask(*args, **options):
    if options.get("flags", 0) & socket.AI_NUMERICHOST:
        return numbers(*args, **options)
    print("asked", flush=True)
    time.sleep(30)

socket.getaddrinfo = ask
"""


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_signal_ends_a_program_in_a_handshake_that_never_ends(scheme: str) -> None:
    came = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(1)
        came.set()
        await reader.read()

    async with serve_raw(silent) as port:
        process = await start_waiting(f"{scheme}://127.0.0.1:{port}")
        await asyncio.wait_for(came.wait(), 20)
        process.send_signal(signal.SIGINT)
        await ends_soon(process)


async def test_a_signal_ends_a_program_whose_name_server_is_silent() -> None:
    """Python waits for the threads in which asyncio looks names up, when it ends."""
    process = await start_waiting("silent.example", SILENT_NAMES)
    assert process.stdout is not None
    while b"asked" not in await asyncio.wait_for(process.stdout.readline(), 10):
        pass
    process.send_signal(signal.SIGINT)
    await ends_soon(process)


STUBBORN = """
import asyncio
import contextlib

async def stay(call):
    while True:
        try:
            print("staying", flush=True)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_handler_that_refuses_to_be_cancelled_is_ended_by_more_signals(
    node: ScriptedNode, number: signal.Signals
) -> None:
    """From the third on a signal does what it does to any program."""
    app = STUBBORN + APP.replace("client.run()", "client.on_call(stay)\nclient.run()")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", app, node.host, "20"),
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await node.until_connected(timeout_s=10)
        await node.offer()
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 10)
        for _ in range(20):
            if process.returncode is None:
                process.send_signal(number)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), 0.5)
        assert process.returncode is not None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_what_is_rarely_needed_is_not_imported_with_the_sdk() -> None:
    """Each of these took some hundredths of the time that the import takes."""
    late = {"json", "pathlib", "difflib", "aiohttp", "websockets"}
    program = "import sys; early = set(sys.modules); import offhook; print(*sorted(set(sys.modules) - early))"
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {program}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert "offhook.client.app.relay" in found
    assert not late & set(found)
