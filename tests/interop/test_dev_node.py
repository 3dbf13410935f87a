"""The node for users' tests: a program that answers, a phone that calls it, and what is said when it cannot start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from offhook import RelayClient
from offhook.errors import MachineError
from offhook.testing.dev import DevNode
from offhook.testing.phone import Phone
from rig.node import ROOT

PROGRAM = """
from offhook import RelayClient

client = RelayClient(contexts=["default"])

@client.on_call
async def on_call(call):
    await call.answer()
    ring = await call.play_ringtone("us", duration=0.3)
    await ring.wait()
    await call.hangup()

client.run()
"""


@pytest.fixture(autouse=True)
def offhook_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))


async def test_a_phone_hears_the_program_that_answers(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(PROGRAM)
    async with DevNode(program) as node, Phone() as phone:
        call = await phone.call(node.uri)
        await call.hears_tone(440, 480, within_s=30)
        await call.waits_ended(within_s=30)
        assert any("the program takes calls" in line for line in node.log)


async def test_a_client_of_the_test_itself_takes_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with DevNode() as node, Phone() as phone:
        for name, value in node.environment.items():
            monkeypatch.setenv(name, value)
        client = RelayClient(contexts=["default"])

        @client.on_call
        async def on_call(call: object) -> None:
            await call.answer()  # type: ignore[attr-defined]

        async with client:
            call = await phone.call(node.uri)
            await call.hangup()


async def test_a_node_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no file: name the Python program"):
        async with DevNode(tmp_path / "nothing.py"):
            pass


async def test_a_program_that_fails_is_shown_at_once(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text("raise RuntimeError('a mistake of mine')\n")
    with pytest.raises(MachineError, match="a mistake of mine"):
        async with asyncio.timeout(28), DevNode(program):
            pass
