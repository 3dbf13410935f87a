"""The blocks of a Markdown page, and a reader who does what the page says, in a directory of its own."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from offhook.node.processes.lifeline import bound_to_parent
from rig.node import ROOT, command, environment

__all__ = ["Block", "Reader", "blocks", "commands"]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"^# (\w+\.py)$")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its text."""

    language: str
    text: str

    @property
    def file(self) -> str:
        """The name in its first line (``# app.py``), or nothing."""
        found = _NAME.match(self.text.partition("\n")[0])
        return found[1] if found else ""


def blocks(page: Path) -> list[Block]:
    """In their order."""
    return [Block(*found) for found in _FENCE.findall(page.read_text())]


def commands(page: Path) -> list[str]:
    """Lines of all ``sh`` blocks."""
    return [line for block in blocks(page) if block.language == "sh" for line in block.text.splitlines() if line]


@dataclass
class Reader:
    """Saves programs, runs commands; ``offhook dev`` stays in the background. Ends what it started."""

    directory: Path
    node: subprocess.Popen[bytes] | None = None
    done: list[str] = field(default_factory=list)
    _starts: int = 0

    def follow(self, page: Path, skipped: dict[str, str]) -> None:
        """Do all of a page but the commands in ``skipped`` (with the reason)."""
        for block in blocks(page):
            if block.file:
                self.save(block)
            elif block.language == "sh":
                for line in block.text.splitlines():
                    if line not in skipped:
                        self.run(line)
                        self.done.append(line)

    def save(self, block: Block) -> None:
        """Write a program; a node that runs it takes the new one."""
        (self.directory / block.file).write_text(block.text)
        if self.node is not None:
            self._program_takes_calls()

    def run(self, line: str) -> None:
        """One command, which must succeed."""
        words = shlex.split(line)
        if words[:2] == ["offhook", "dev"]:
            self._start(words[1:])
            return
        known = {"offhook": command(), "pytest": [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]}
        completed = subprocess.run(
            [*known[words[0]], *words[1:]],
            cwd=self.directory,
            env=self._environment(),
            capture_output=True,
            timeout=200,
            check=False,
        )
        output = (completed.stdout + completed.stderr).decode(errors="replace")
        assert completed.returncode == 0, f"{line}\n{output}\n{self._log()}"

    def close(self) -> None:
        """End the node, if one runs; it must end politely."""
        if self.node is not None:
            self.node.send_signal(signal.SIGTERM)
            assert self.node.wait(15) == 0, self._log()

    def _start(self, arguments: list[str]) -> None:
        with (self.directory / "dev.log").open("wb") as log:
            self.node = subprocess.Popen(
                [*command(), *arguments],
                cwd=self.directory,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=bound_to_parent(),
            )
        self._program_takes_calls()

    def _program_takes_calls(self) -> None:
        """Wait for the next line that says so."""
        self._starts += 1
        until = time.monotonic() + 30
        while self._log().count("program takes calls") < self._starts:
            assert time.monotonic() < until, self._log()
            time.sleep(0.05)

    def _log(self) -> str:
        file = self.directory / "dev.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _environment(self) -> dict[str, str]:
        """Free ports, and a state directory of its own."""
        ours = {
            "OFFHOOK_SIP_PORT": "0",
            "OFFHOOK_RELAY_PORT": "0",
            "OFFHOOK_STATE_DIR": str(self.directory / "state"),
        }
        return environment(**ours) | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(self.directory)])}
