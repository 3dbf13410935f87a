"""The examples of the reference run on the scripted node: one for each verb; none fails or leaves a call behind."""

from __future__ import annotations

import asyncio
import contextlib
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from offhook.protocol.states import CallState
from offhook.testing.node import ScriptedCall, ScriptedNode

ROOT = Path(__file__).resolve().parents[4]
EXAMPLES = sorted((ROOT / "examples" / "verbs").glob("*.py"))
OF_THE_CLIENT = {"dial", "send_message"}
LEAVING = {"pass_", "transfer"}


@pytest.fixture(autouse=True)
def settings_in_the_environment(node: ScriptedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PROJECT_ID": "project", "API_TOKEN": "token", "SPACE": node.host}.items():
        monkeypatch.setenv(f"OFFHOOK_{name}", value)


async def presses_one(party: ScriptedCall) -> None:
    """A party who presses 1 whenever it is asked for a key."""
    while True:
        await party.press("1")


async def take_a_call(client: RelayClient, node: ScriptedNode) -> ScriptedCall:
    async with client:
        party = await node.offer()
        pressing = asyncio.create_task(presses_one(party))
        async with asyncio.timeout(10):
            while not client.handling:
                await asyncio.sleep(0)
            await asyncio.gather(*client.handling)
        pressing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pressing
        assert client._tasks.failures == 0
    return party


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
async def test_it_runs(node: ScriptedNode, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program: dict[str, Any] = runpy.run_path(str(path), run_name="example")
    if path.stem in OF_THE_CLIENT:
        await program["main"]()
        assert {call.state for call in node.calls.values()} <= {CallState.ENDED}
    else:
        party = await take_a_call(program["client"], node)
        assert (party.state is CallState.ENDED) is (path.stem not in LEAVING)


def test_every_verb_has_an_example_that_uses_it() -> None:
    verbs = (*Call.__bases__, *RelayClient.__bases__)
    modules = {verb.__module__.rpartition(".")[2]: verb for verb in verbs if ".client.verbs." in verb.__module__}
    modules["queue_enter"] = modules.pop("queue")
    assert {path.stem for path in EXAMPLES} == modules.keys()
    for path in EXAMPLES:
        words = [name for name in vars(modules[path.stem]) if not name.startswith("_")]
        assert any(f".{name}(" in path.read_text() for name in words), path.stem


def test_no_example_hides_a_module_of_python_from_its_neighbours() -> None:
    assert not {path.stem for path in EXAMPLES} & sys.stdlib_module_names
