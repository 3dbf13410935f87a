"""A stage for programs of either SDK: the node, the program as a process of its own, and the parties that call it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from rig.dialog import Caller
from rig.node import ROOT, NodeProcess
from rig.responder import Responder

__all__ = ["MODULES", "PROGRAMS", "Forks", "Program", "Stage"]

MODULES = {"ours": "offhook", "published": "signalwire.relay"}
PROGRAMS = ROOT / "examples" / "either_sdk"
WITHIN_S = 60.0
"""How long anything may take before a test gives it up; nothing is judged by it."""


def python_of(sdk: str) -> str:
    """The interpreter that has this SDK."""
    if sdk == "ours":
        return sys.executable
    home = Path(os.environ.get("OFFHOOK_PUBLISHED_VENV", ROOT / ".cache" / "published"))
    if not (home / "bin" / "python").exists():
        pytest.fail(f"no published Python SDK in {home}: run `make install`, or set OFFHOOK_PUBLISHED_VENV")
    return str(home / "bin" / "python")


@dataclass
class Forks:
    """One process that imported an SDK and forks the programs (``rig.forks``)."""

    sdk: str
    node: NodeProcess
    process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SIGNALWIRE_", "OFFHOOK_"))}
        path = [str(ROOT / "tests"), *([str(ROOT / "src")] if self.sdk == "ours" else [])]
        self.process = await asyncio.create_subprocess_exec(
            python_of(self.sdk),
            "-m",
            "rig.forks",
            MODULES[self.sdk],
            stdin=asyncio.subprocess.PIPE,
            env={**kept, **self.node.sdk_environment(), "PYTHONPATH": os.pathsep.join(path)},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.process
        assert self.process.stdin
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), 10)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    def start(self, argv: list[str], out: Path, errors: Path) -> None:
        assert self.process
        assert self.process.stdin
        order = {"argv": argv, "out": str(out), "errors": str(errors)}
        self.process.stdin.write(json.dumps(order).encode() + b"\n")


@dataclass
class Program:
    """A running program. Its lines are told apart by their first word."""

    name: str
    out: Path
    errors: Path

    def told(self, word: str = "") -> list[str]:
        """What it said so far: lines that begin with this word, without it."""
        text = self.out.read_text() if self.out.exists() else ""
        lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        if not word:
            return [line.rstrip("\n") for line in lines]
        return [line.removeprefix(word).strip() for line in lines if line.split()[:1] == [word]]

    @property
    def story(self) -> dict[str, list[str]]:
        """All that it said, by first words: lines of one word are in their order."""
        return {word: self.told(word) for word in dict.fromkeys(line.split()[0] for line in self.told())}

    async def says(self, word: str, count: int = 1) -> str:
        """The line that begins with this word, the last of so many."""
        await self._until(lambda: len(self.told(word)) >= count, f"{word!r} (number {count})")
        return self.told(word)[count - 1]

    async def ends(self) -> None:
        """Wait until it ended by itself."""
        await self._until(lambda: bool(self.told("exit")), "its end")

    async def _until(self, holds: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + WITHIN_S
        while not holds():
            ended = bool(self.told("exit"))
            if time.monotonic() > until or (ended and not holds()):
                raise AssertionError(f"{self.name} did not say {what}; it said:\n{self.out.read_text()}\n{self.log}")
            await asyncio.sleep(0.02)

    @property
    def log(self) -> str:
        """What it wrote to standard error."""
        return self.errors.read_text(errors="replace") if self.errors.exists() else ""


@dataclass
class Stage:
    """What one scenario has: an SDK, a number to call, and what it opened."""

    sdk: str
    name: str
    node: NodeProcess
    forks: Forks
    work: Path
    url: str
    """Of a file that may be played: a tone of 800 Hz, one second."""
    _opened: ExitStack = field(default_factory=ExitStack)
    _programs: list[Program] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    @property
    def number(self) -> str:
        """What to call, and the context that it leads to."""
        return f"{self.name}-{self.sdk}"

    @property
    def first(self) -> Program:
        """The program that the scenario is about."""
        return self._programs[0]

    @property
    def log(self) -> str:
        """What all of its programs wrote to standard error."""
        return "".join(program.log for program in self._programs)

    async def start(self, *arguments: str, name: str = "") -> Program:
        """Start a program (that of the scenario unless named) and wait until it takes calls."""
        stem = self.work / f"{self.number}-{len(self._programs)}"
        program = Program(name or self.name, stem.with_suffix(".out"), stem.with_suffix(".err"))
        self._programs.append(program)
        argv = [str(PROGRAMS / f"{program.name}.py"), MODULES[self.sdk], self.number, *arguments]
        self.forks.start(argv, program.out, program.errors)
        await program.says("ready")
        return program

    async def caller(self, more: str = "") -> Caller:
        """Somebody who may call the program."""
        caller = await Caller.open(self.node.sip(), to=self.number + more)
        caller.rtp.watch(self.node.engine().pid)
        self._opened.callback(caller.close)
        return caller

    async def responder(self) -> Responder:
        """Somebody whom the program may call."""
        responder = await Responder.open()
        responder.rtp.watch(self.node.engine().pid)
        self._opened.callback(responder.close)
        return responder
