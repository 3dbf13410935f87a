"""Examples of the reference on the real node, called by a simulated phone. This list may only grow."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import pytest

from offhook.errors import EngineRefused
from offhook.testing.dev import DevNode
from offhook.testing.phone import NotHeard, Phone, PhoneCall
from rig.node import ROOT


async def listens(call: PhoneCall) -> None:
    """Says nothing and waits for the end."""


async def heard_ringing(call: PhoneCall) -> None:
    await call.waits_ringing(within_s=30)


async def hears_ringing(call: PhoneCall) -> None:
    await call.hears_tone(440, 480, within_s=30)


async def presses_one(call: PhoneCall) -> None:
    await call.hears_energy(within_s=30)
    await call.press("1")


async def presses_till_the_end(call: PhoneCall) -> None:
    """A key that is pressed before the program asks is nobody's, and nobody hears when it asks."""
    with contextlib.suppress(NotHeard, EngineRefused):  # of the key after the last: the call is over
        while call.ended is None:
            await call.press("7")


async def hears_keys(call: PhoneCall) -> None:
    await call.hears_digit("1", within_s=30)
    await call.hears_digit("2", within_s=30)


ON_THE_NODE: list[tuple[str, Callable[[PhoneCall], Awaitable[None]], str]] = [
    ("answer", listens, ""),
    ("accept", heard_ringing, ""),
    ("echo", listens, ""),
    ("play", hears_ringing, ""),
    ("play_and_collect", presses_one, "digit 1"),
    ("collect", presses_till_the_end, "7777"),
    ("record", listens, ""),
    ("send_digits", hears_keys, ""),
]


@pytest.fixture(autouse=True)
def offhook_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))


@pytest.mark.parametrize(("name", "party", "said"), ON_THE_NODE, ids=[name for name, _, _ in ON_THE_NODE])
async def test_it_runs_on_the_node(name: str, party: Callable[[PhoneCall], Awaitable[None]], said: str) -> None:
    async with DevNode(ROOT / "examples" / "verbs" / f"{name}.py") as node, Phone() as phone:
        call = await phone.call(node.uri)
        await party(call)
        await call.waits_ended(within_s=30)
    log = "\n".join(node.log)
    assert "handler failed" not in log
    assert said in log
