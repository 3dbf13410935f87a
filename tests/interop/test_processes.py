"""What the processes of a node do when they start, end, are killed, and when a program changes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from offhook.node.processes.port_numbers import loopbacks
from offhook.testing.phone import CallFailed, Phone
from rig.node import NodeProcess, Stat, command, environment, processes_of, running_node, start
from rig.processes import node_of, nodes_of, wait_for
from rig.relay import RelayPeer

PATIENCE_S = 60.0
"""How long anything may take before a test gives it up; nothing is judged by it."""

APP = """
import asyncio, os, sys
from offhook import RelayClient

client = RelayClient(contexts=["default"])

@client.on_call
async def on_call(call):
    await call.answer()

print("VERSION", flush=True)
client.run()
"""


def part(node: NodeProcess, name: str) -> Stat:
    """The process whose command line has ``name``."""
    return next(stat for stat in node.processes() if name in stat.cmdline)


def killed_part_returns(node: NodeProcess, name: str) -> float:
    """Kill it with -9 and wait for another in its place."""
    old = part(node, name).pid
    os.kill(old, signal.SIGKILL)
    return wait_for(
        lambda: any(name in stat.cmdline and stat.pid != old for stat in node.processes()),
        PATIENCE_S,
        f"another {name}",
    )


async def connects(node: NodeProcess, within_s: float = PATIENCE_S) -> float:
    """Until a client can connect; returns after how long."""
    began = time.monotonic()
    while True:
        peer = RelayPeer(node, contexts=[])
        try:
            await peer.connect()
        except (OSError, aiohttp.ClientError) as error:
            if time.monotonic() - began > within_s:
                raise TimeoutError("no client can connect") from error
            await asyncio.sleep(0.05)
        else:
            return time.monotonic() - began
        finally:
            await peer.close()


@pytest.mark.judges_time
async def test_dev_says_where_it_is_in_one_line_and_ends_politely(tmp_path: Path) -> None:
    began = time.monotonic()
    run("--version")
    mood_s = time.monotonic() - began
    with running_node(tmp_path / "state") as node:
        assert set(node.ready) == {"relay", "ca_file", "sip", "http"}
        assert node.started_in_s < max(10.0, 10 * mood_s)
        await connects(node)
        began = time.monotonic()
    assert time.monotonic() - began < max(10.0, 10 * mood_s)
    assert node.process.stdout is not None


@pytest.mark.parametrize("address", loopbacks("127.0.0.1"))
async def test_a_client_that_takes_localhost_for_either_loopback_connects(tmp_path: Path, address: str) -> None:
    with running_node(tmp_path / "state") as node:
        context = ssl.create_default_context(cafile=node.ca_file)
        host = f"[{address}]" if ":" in address else address
        async with aiohttp.ClientSession() as http:
            url = f"https://{host}:{node.relay_port}/healthz"
            async with http.get(url, ssl=context, server_hostname="localhost") as answer:
                assert answer.status == 200


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGINT])
def test_dev_ended_in_any_way_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    app = tmp_path / "app.py"
    app.write_text(APP)
    node = start(
        ["dev", str(app), "--json", "--state-dir", str(tmp_path / "s"), "--sip-port", "0", "--relay-port", "0"],
        tmp_path / "s",
    )
    node.wait_ready()
    wait_for(lambda: any("espeak_worker" in stat.cmdline for stat in node.processes()), PATIENCE_S, "the speech worker")
    family = [stat.pid for stat in processes_of(node.process.pid)]
    assert len(family) >= 5  # supervisor, engine, node, speech worker, program
    node.process.send_signal(number)
    node.process.wait(PATIENCE_S)
    left = node.left_of(family)
    for stat in left:
        os.kill(stat.pid, signal.SIGKILL)
    assert not left, [(stat.pid, stat.cmdline) for stat in left]
    assert node.process.stdout is not None
    node.process.stdout.close()


async def test_a_killed_node_is_started_again_and_the_engine_never_left(tmp_path: Path) -> None:
    with running_node(tmp_path / "state") as node:
        engine = node.engine().pid
        serving = node_of(node).pid
        os.kill(serving, signal.SIGKILL)
        wait_for(lambda: node.log().count("the node is back") == 1, PATIENCE_S, "another serves")
        await connects(node)
        assert node_of(node).pid != serving
        assert node.engine().pid == engine


async def test_a_killed_engine_is_started_again_and_the_node_never_left(tmp_path: Path) -> None:
    with running_node(tmp_path / "state") as node:
        nodes = node_of(node).pid
        killed_part_returns(node, "offhook-engine")
        wait_for(lambda: "the engine is back" in node.log(), PATIENCE_S, "the node sees the engine")
        await connects(node)
        assert node_of(node).pid == nodes


def test_a_part_that_dies_again_and_again_ends_the_whole(tmp_path: Path) -> None:
    node = start(
        ["dev", "--json", "--state-dir", str(tmp_path / "s"), "--sip-port", "0", "--relay-port", "0"], tmp_path / "s"
    )
    node.wait_ready()
    killed: list[float] = []

    def is_back_or_over() -> bool:
        return node.process.poll() is not None or node.log().count("the node is back") == len(killed)

    while node.process.poll() is None and len(killed) < 12:
        os.kill(node_of(node).pid, signal.SIGKILL)
        killed.append(time.monotonic())
        wait_for(is_back_or_over, PATIENCE_S, "another serves, or none ever will")
    assert node.process.wait(PATIENCE_S) == 1
    assert len(killed) >= 6, "it may end five times within 60 s"
    assert len(killed) == 6 or killed[5] - killed[0] > 55, "so many were within 60 s before"
    assert "the node ended 6 times within 60 s" in node.log()
    assert node.process.stdout is not None
    node.process.stdout.close()


def run(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command(), *arguments], env=environment(**extra), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(("flag", "kind"), [("--sip-port", socket.SOCK_DGRAM), ("--relay-port", socket.SOCK_STREAM)])
def test_a_busy_port_is_named(tmp_path: Path, flag: str, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        ports = {"--sip-port": "0", "--relay-port": "0", flag: str(port)}
        done = run("dev", "--state-dir", str(tmp_path), *(word for pair in ports.items() for word in pair))
    assert done.returncode == 2
    assert f"port {port} of 127.0.0.1 is taken by another program" in done.stderr
    assert "Traceback" not in done.stderr


def _readable(path: Path) -> None:
    path.write_bytes(b"k" * 32)
    path.chmod(0o640)


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("recordings.key", _readable, "chmod 600"),
        ("lock", Path.mkdir, "move it away"),
        ("control/s", Path.mkdir, "move it away"),
    ],
)
def test_state_that_cannot_be_used_ends_the_start_with_a_sentence(
    tmp_path: Path, name: str, spoil: Callable[[Path], None], words: str
) -> None:
    state = tmp_path / "s"
    (state / "control").mkdir(parents=True, mode=0o700)
    state.chmod(0o700)
    spoil(state / name)
    done = run("dev", "--state-dir", str(state), "--sip-port", "0", "--relay-port", "0")
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_node_with_the_same_state_is_refused_and_the_environment_is_told(tmp_path: Path) -> None:
    with running_node(tmp_path / "state") as node:
        second = run("dev", "--state-dir", str(node.state_dir), "--sip-port", "0", "--relay-port", "0")
        assert second.returncode == 1
        assert "another offhook runs" in second.stderr
        told = run("dev", "--env", "--state-dir", str(node.state_dir)).stdout
    lines = dict(line.removeprefix("export ").split("=", 1) for line in told.splitlines())
    assert {key: lines[key] for key in node.sdk_environment()} == node.sdk_environment()
    assert all(line.startswith("export ") for line in told.splitlines())


async def test_a_changed_program_takes_over_and_a_broken_one_does_not(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(APP.replace("VERSION", "version one"))
    with running_node(tmp_path / "state", app=app) as node:
        first = part(node, f"-u {app}").pid
        app.write_text("raise RuntimeError('broken')\n")
        wait_for(lambda: "goes on serving" in node.log(), PATIENCE_S, "the broken program is seen")
        assert "RuntimeError: broken" in node.log()
        assert part(node, f"-u {app}").pid == first
        app.write_text(APP.replace("VERSION", "version two"))
        wait_for(lambda: "the new program takes calls" in node.log(), PATIENCE_S, "the new program subscribes")
        wait_for(lambda: node.left_of([first], within_s=0) == [], PATIENCE_S, "the old program, without calls, ends")
        assert "version two" in node.log()


def a_spare_waits(node: NodeProcess, serving: int) -> bool:
    """It has read its code: the event loop, which is made after the last import, has its epoll descriptor."""
    for spare in nodes_of(node):
        if spare.pid != serving:
            descriptors = subprocess.run(["ls", "-l", f"/proc/{spare.pid}/fd"], capture_output=True, text=True).stdout
            return "anon_inode:[eventpoll]" in descriptors
    return False


@pytest.mark.judges_time
def test_serve_is_ready_by_its_config_file_and_its_spare_node_takes_over_at_once(tmp_path: Path) -> None:
    config = tmp_path / "offhook.toml"
    config.write_text(
        f"state_dir = '{tmp_path}/s'\n[relay]\nport = 0\n[sip]\nport = 0\n"
        '[[routes]]\nmatch = "*"\ncontext = "sales"\n'
    )
    node = start(["serve", "--config", str(config)], tmp_path / "s")
    ready = tmp_path / "s" / "ready.json"
    started_in_s = wait_for(ready.exists, PATIENCE_S, "serve is ready")
    node.ready = json.loads(ready.read_text())
    asyncio.run(connects(node))
    serving = node_of(node).pid
    for served in (2, 3):  # the spare of the spare, too
        wait_for(lambda serving=serving: a_spare_waits(node, serving), PATIENCE_S, "a spare has read its code")
        [spare] = [stat.pid for stat in nodes_of(node) if stat.pid != serving]
        os.kill(serving, signal.SIGKILL)
        began = time.monotonic()
        wait_for(lambda served=served: node.log().count("offhook serves") == served, PATIENCE_S, "the spare serves")
        assert time.monotonic() - began < max(3.0, started_in_s)
        asyncio.run(connects(node))
        serving = node_of(node).pid
        assert serving == spare
    wait_for(lambda: a_spare_waits(node, serving), PATIENCE_S, "there is a spare again")
    assert node.end() == 0


def test_the_version_and_mistakes_of_configuration_are_told_in_a_line(tmp_path: Path) -> None:
    assert run("--version").stdout.strip().startswith("0.")
    config = tmp_path / "offhook.toml"
    config.write_text("[relay]\nprot = 1\n")
    done = run("serve", "--config", str(config))
    assert (done.returncode, done.stderr.strip()) == (
        2,
        f"offhook: relay.prot: unknown in {config}; did you mean relay.port?",
    )
    assert run("dev", "nowhere.py").returncode == 2


HOLDS = """
import asyncio
from offhook import RelayClient

client = RelayClient(contexts=["default"])

@client.on_call
async def on_call(call):
    await call.answer()
    await call.play([{"type": "silence", "params": {"duration": 60}}])
    await asyncio.sleep(60)

client.run()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_dev_that_ends_in_any_way_during_a_call_tells_the_far_end_and_leaves_no_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    app = tmp_path / "app.py"
    app.write_text(HOLDS)
    node = start(
        ["dev", str(app), "--json", "--state-dir", str(tmp_path / "s"), "--sip-port", "0", "--relay-port", "0"],
        tmp_path / "s",
    )
    node.wait_ready()
    family = [stat.pid for stat in processes_of(node.process.pid)]
    async with Phone() as phone:
        call = await phone.call(f"sip:100@{node.ready['sip']['udp']}")
        began = time.monotonic()
        node.process.send_signal(number)
        await call.waits_ended()
        print(f"{number.name}: the far end knows after {time.monotonic() - began:.2f} s")
        status = await asyncio.to_thread(node.process.wait, PATIENCE_S)
        assert status == (0 if number is signal.SIGTERM else -signal.SIGKILL)
        left = await asyncio.to_thread(node.left_of, family)
    for stat in left:
        os.kill(stat.pid, signal.SIGKILL)
    assert not left, [(stat.pid, stat.cmdline) for stat in left]
    assert node.process.stdout is not None
    node.process.stdout.close()


async def test_serve_lets_a_call_end_by_itself_and_refuses_new_ones_meanwhile(tmp_path: Path) -> None:
    config = tmp_path / "offhook.toml"
    config.write_text(
        f"state_dir = '{tmp_path}/s'\n[relay]\nport = 0\n[sip]\nport = 0\n"
        '[[routes]]\nmatch = "*"\ncontext = "default"\n'
    )
    node = start(["serve", "--config", str(config)], tmp_path / "s")
    ready = tmp_path / "s" / "ready.json"
    await asyncio.to_thread(wait_for, ready.exists, PATIENCE_S, "serve is ready")
    node.ready = json.loads(ready.read_text())
    async with RelayPeer(node) as relay, Phone() as phone:
        uri = f"sip:100@{node.ready['sip']['udp']}"
        calling = asyncio.create_task(phone.call(uri))
        offer = await relay.event("receive")
        await relay.command(offer, "answer")
        call = await calling
        node.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(wait_for, lambda: "draining" in node.log(), PATIENCE_S, "it drains")
        with pytest.raises(CallFailed) as refused:
            await phone.call(uri)
        assert refused.value.ended.status == 503
        assert call.ended is None
        await call.hangup()
        assert await asyncio.to_thread(node.process.wait, PATIENCE_S) == 0
    assert node.process.stdout is not None
    node.process.stdout.close()
