"""``offhook dev`` and ``offhook call`` as a person uses them: what is printed works, programs change in live calls."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from rig import audio
from rig.dialog import Caller
from rig.fixtures import AudioServer
from rig.node import ROOT, NodeProcess, command, environment, processes_of, running_node, start
from rig.relay import RelayPeer

PROGRAM = """
from offhook import RelayClient

client = RelayClient(contexts=["default"])


@client.on_call
async def on_call(call):
    await call.answer()
    await call.play([{{"type": "audio", "params": {{"url": "{url}"}}}}], loop=0)
    await call.wait_for_ended()


print("this goes to standard output", flush=True)
client.run()
"""


def program_of(node: NodeProcess, app: Path) -> int:
    """The process that runs the program now and takes calls (the newest)."""
    return max(s.pid for s in node.processes() if str(app) in s.cmdline and "offhook.node" not in s.cmdline)


async def until(node: NodeProcess, text: str, within_s: float = 60.0) -> None:
    began = time.monotonic()
    while text not in node.log():
        assert time.monotonic() - began < within_s, f"no {text!r} in the log:\n{node.log()[-2000:]}"
        await asyncio.sleep(0.05)


@pytest.mark.judges_time
async def test_a_program_that_changes_keeps_its_calls_and_the_new_one_gets_the_next(
    tmp_path: Path, audio_server: AudioServer
) -> None:
    """dograh-hq/dograh#474, livekit/agents#4268: an update ends no call, and old programs take no new ones."""
    old_url = audio_server.publish("old.wav", audio.tone(600, 2.0))
    new_url = audio_server.publish("new.wav", audio.tone(900, 2.0))
    app = tmp_path / "app.py"
    app.write_text(PROGRAM.format(url=old_url))
    with running_node(tmp_path / "state", app=app) as node:
        first, second = await Caller.open(node.sip()), await Caller.open(node.sip())
        first.rtp.watch(node.engine().pid)
        await first.established()
        await first.rtp.hears(25, louder_than=1000)
        old = program_of(node, app)
        mark = first.rtp.mark()
        app.write_text(PROGRAM.format(url=new_url))
        await until(node, "the new program takes calls")
        await second.established()
        await second.rtp.hears(50, louder_than=1000)
        await first.rtp.hears(50, mark, louder_than=1000)
        assert audio.steady_share(second.rtp.samples()[-4000:], 900) > 0.9
        assert audio.steady_share(first.rtp.samples(mark)[-4000:], 600) > 0.9
        assert first.rtp.broken(mark) == []
        assert first.rtp.largest_stop_ms(mark) < 100
        assert NodeProcess.left_of([old], within_s=0) != [], "the old program has gone with a call of its own"
        assert (await first.bye()).status == 200
        assert NodeProcess.left_of([old], within_s=30) == [], "the old program stays without a call"
        assert (await second.bye()).status == 200
        assert "this goes to standard output" in node.log()
        first.close()
        second.close()


def said(process: subprocess.Popen[bytes], last: str, within_s: float = 60.0) -> str:
    """Standard output up to a text."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    began, text = time.monotonic(), ""
    while last not in text:
        assert process.poll() is None, text
        assert time.monotonic() - began < within_s, text
        text += (process.stdout.read() or b"").decode()
        time.sleep(0.05)
    return text


async def test_what_dev_prints_for_a_person_works(tmp_path: Path) -> None:
    """fonoster/fonoster#589, livekit/sip#32: the first call works by what is printed, without a page to read."""
    arguments = ["dev", "--state-dir", str(tmp_path / "s"), "--sip-port", "0", "--relay-port", "0"]
    node = start(arguments, tmp_path / "s")
    try:
        text = said(node.process, "Ctrl-C ends it.")
        exports = dict(re.findall(r"^export (\w+)='?([^'\n]*)'?$", text, re.M))
        for ours, published in (("OFFHOOK_SPACE", "SIGNALWIRE_SPACE"), ("OFFHOOK_API_TOKEN", "SIGNALWIRE_API_TOKEN")):
            assert exports[ours] == exports[published]
        assert Path(exports["NODE_EXTRA_CA_CERTS"]).is_file()
        relay = {"host": exports["SIGNALWIRE_SPACE"], "project": exports["SIGNALWIRE_PROJECT_ID"]}
        node.ready = {
            "relay": relay | {"token": exports["SIGNALWIRE_API_TOKEN"]},
            "ca_file": exports["SIGNALWIRE_RELAY_CA_FILE"],
        }
        uri = re.search(r"offhook call (sip:\S+@(\S+):(\d+))", text)
        assert uri, text
        async with RelayPeer(node) as client:
            phone = await asyncio.create_subprocess_exec(
                *command(), "call", uri[1], "--seconds", "30", "--press", "5", "--out", str(tmp_path / "heard.wav"),
                env=environment(), cwd=ROOT, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            call = await client.event("receive", within_s=60)  # the phone has to be started first
            await client.command(call, "answer")
            await client.command(call, "collect", control_id="c", digits={"max": 1}, initial_timeout=30)
            tone = [{"type": "ringtone", "params": {"name": "us", "duration": 1.5}}]
            await client.command(call, "play", control_id="p", play=tone)
            done = await client.event("collect")
            assert done.params["result"]["params"]["digits"] == "5"
            await client.command(call, "end")
            out, _ = await asyncio.wait_for(phone.communicate(), 60)
        told = out.decode()
        for line in ("calling sip:", "answered", "presses 5", "the other end hung up"):
            assert line in told, told
        [heard] = audio.read_wav(tmp_path / "heard.wav")
        assert audio.bursts(heard, 440, 0.02)
    finally:
        node.end()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["call", "sip:100@127.0.0.1:9", "--seconds", "2"], "reached"),
        (["call", "tel:100"], "cannot be called"),
        (["call", "100", "--press", "x"], "no keys"),
        (["call", "100", "--state-dir", "{work}"], "no node runs"),
        (["dev", "{work}/nothing.py"], "is no file"),
    ],
    ids=["nobody-there", "tel", "keys", "no-node", "no-program"],
)
def test_a_mistake_ends_in_a_sentence_and_a_status(tmp_path: Path, arguments: list[str], says: str) -> None:
    """fonoster/fonoster#275: alert the user; never a stack of frames."""
    given = [argument.format(work=tmp_path) for argument in arguments]
    done = subprocess.run(
        [*command(), *given], env=environment(HOME=str(tmp_path)), capture_output=True, text=True, timeout=120
    )
    assert done.returncode in {1, 2}
    assert says in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_program_that_never_starts_is_shown_and_leaves_nothing(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text("import nothing_of_this_name\n")
    arguments = ["dev", str(app), "--state-dir", str(tmp_path / "s"), "--sip-port", "0", "--relay-port", "0"]
    node = start(arguments, tmp_path / "s")
    try:
        await until(node, "nothing_of_this_name")
        assert "ModuleNotFoundError" in node.log()
        family = [s.pid for s in processes_of(node.process.pid)]
        assert node.process.poll() is None, "dev waits for the program to be mended"
    finally:
        assert node.end() == 0
    assert NodeProcess.left_of(family) == []
