"""A program is replaced without a gap; a new one that fails leaves the old one serving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from offhook.node.processes.program_runner import ProgramRunner

SERVES = """
import os, pathlib, time
pathlib.Path(os.environ["NOTES"], f"{VERSION}-{os.environ['SLOT']}").touch()
time.sleep(60)
"""
FAILS = "raise RuntimeError('a mistake of mine')\n"


class Bench:
    """A runner, its program, and what it told the node."""

    def __init__(self, directory: Path) -> None:
        self.notes = directory / "notes"
        self.notes.mkdir()
        self.program = directory / "app" / "app.py"
        self.program.parent.mkdir()
        self.said: list[str] = []
        self.runner = ProgramRunner(
            self.program,
            lambda slot: {"NOTES": str(self.notes), "SLOT": str(slot)},
            serve=lambda slot: self.said.append(f"serve {slot}"),
            retire=lambda slot: self.said.append(f"retire {slot}"),
            drain_s=0.5,
        )

    def write(self, version: str, body: str = SERVES) -> None:
        self.program.write_text(f"VERSION = {version!r}\n{body}")

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not condition():
                await asyncio.sleep(0.02)

    async def started(self, note: str) -> None:
        await self.until((self.notes / note).exists)

    def living(self) -> int:
        return len(self.runner._children)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    made.write("one")
    running = asyncio.create_task(made.runner.run())
    await made.started("one-0")
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert made.living() == 0


async def said(bench: Bench, capfd: pytest.CaptureFixture[str], words: str) -> str:
    """What is on the terminal once these words are."""
    shown = ""

    def is_said() -> bool:
        nonlocal shown
        shown += "".join(capfd.readouterr())
        return words in shown

    await bench.until(is_said)
    return shown


async def test_a_changed_program_takes_over_once_it_has_subscribed(bench: Bench) -> None:
    bench.runner.subscribed(0)
    bench.write("two")
    await bench.started("two-1")
    assert bench.living() == 2
    assert bench.said == ["serve 0", "serve 1"]
    bench.runner.subscribed(1)
    assert bench.said[-1] == "retire 0"
    await bench.until(lambda: bench.living() == 1)


async def test_an_old_program_without_calls_ends_at_once(bench: Bench) -> None:
    bench.runner._drain_s = 60.0
    bench.runner.subscribed(0)
    bench.write("two")
    await bench.started("two-1")
    bench.runner.subscribed(1)
    bench.runner.idle(0)
    await bench.until(lambda: bench.living() == 1)


async def test_a_new_program_that_fails_leaves_the_old_one_and_shows_why(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.runner.subscribed(0)
    bench.write("two", FAILS)
    shown = await said(bench, capfd, "goes on serving")
    assert "RuntimeError: a mistake of mine" in shown
    assert bench.living() == 1
    assert "retire 0" not in bench.said
    bench.write("three")
    await bench.started("three-1")
    bench.runner.subscribed(1)
    assert bench.said[-1] == "retire 0"


async def test_a_program_that_fails_at_first_is_started_again_when_it_changes(bench: Bench) -> None:
    bench.write("two", FAILS)
    await bench.until(lambda: bench.living() == 0)
    bench.write("three")
    await bench.started("three-0")


async def test_a_program_that_ends_by_itself_is_not_said_to_have_failed(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.write("two", "print('done')\n")
    await said(bench, capfd, "the program ended before it took calls")


async def test_an_interpreter_that_is_not_there_is_named(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.runner._python = "no-such-python"
    bench.write("two")
    assert "no-such-python" in await said(bench, capfd, "the program cannot be started")


async def test_a_module_beside_the_program_counts(bench: Bench) -> None:
    bench.runner.subscribed(0)
    (bench.program.parent / "menu.py").write_text("x = 1\n")
    await bench.started("one-1")


async def test_the_old_program_is_retired_when_the_new_one_subscribes_twice(bench: Bench) -> None:
    bench.runner.subscribed(0)
    bench.write("two")
    await bench.started("two-1")
    for _ in range(3):
        bench.runner.subscribed(1)
    bench.runner.subscribed(0)
    assert bench.said.count("retire 0") == 1
    assert "retire 1" not in bench.said


async def test_a_program_that_is_asked_to_leave_ends_and_is_not_started_again(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.runner.subscribed(0)
    await bench.runner.leave(10.0)
    bench.write("two")
    await bench.until(lambda: bench.living() == 0)
    assert not (bench.notes / "two-1").exists()
    assert "the program ended" not in "".join(capfd.readouterr())
