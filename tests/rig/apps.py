"""Programs for the published SDKs, run unmodified as processes of their own; each prints one JSON object a line."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from offhook.node.processes.lifeline import bound_to_parent
from rig.node import ROOT, NodeProcess

__all__ = ["AppProcess", "Line", "published_python", "published_typescript"]


@dataclass
class Line:
    """One line of an app, with the time at which it was read."""

    at: float
    data: dict[str, Any]
    seen: bool = False

    @property
    def what(self) -> str:
        return str(self.data.get("what", ""))


@dataclass
class AppProcess:
    """A running app. Lines that are no JSON are kept as ``noise``."""

    command: list[str]
    env: dict[str, str]
    lines: list[Line] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None
    _reading: list[asyncio.Task[None]] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> AppProcess:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SIGNALWIRE_", "OFFHOOK_"))}
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**kept, **self.env},
            cwd=ROOT,
            preexec_fn=bound_to_parent(),
            limit=1 << 20,
        )
        assert self.process.stdout
        assert self.process.stderr
        self._reading = [asyncio.create_task(self._read(s)) for s in (self.process.stdout, self.process.stderr)]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.process
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 5)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        await asyncio.gather(*self._reading)

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            text = line.decode(errors="replace").strip()
            try:
                data = json.loads(text)
            except ValueError:
                self.noise.append(text)
                continue
            if isinstance(data, dict):
                self.lines.append(Line(time.time(), data))
            self._arrived.set()
        self._arrived.set()

    async def line(self, what: str, wanted: Callable[[Line], bool] = lambda _l: True, within_s: float = 60.0) -> Line:
        """The first line of that kind not yet handed out."""
        until = time.monotonic() + within_s
        assert self.process
        while True:
            self._arrived.clear()
            for line in self.lines:
                if not line.seen and line.what == what and wanted(line):
                    line.seen = True
                    return line
            remaining = until - time.monotonic()
            if remaining <= 0 or self.process.returncode is not None:
                said = "\n".join([*(json.dumps(x.data) for x in self.lines[-40:]), *self.noise[-40:]])
                code = self.process.returncode
                raise AssertionError(f"no {what!r} within {within_s} s (exit {code}); it said:\n{said}")
            try:
                await asyncio.wait_for(self._arrived.wait(), min(remaining, 0.5))
            except TimeoutError:
                continue

    def all(self, what: str) -> list[dict[str, Any]]:
        return [x.data for x in self.lines if x.what == what]


def published_python(node: NodeProcess, app: str, *arguments: str, relay_host: str = "") -> AppProcess:
    """``examples/published_python/<app>.py`` under the published SDK's own environment."""
    home = Path(os.environ.get("OFFHOOK_PUBLISHED_VENV", ROOT / ".cache" / "published"))
    python = home / "bin" / "python"
    if not python.exists():
        pytest.fail(f"no published Python SDK in {home}: run `make install`, or set OFFHOOK_PUBLISHED_VENV")
    path = ROOT / "examples" / "published_python" / f"{app}.py"
    return AppProcess([str(python), "-u", str(path), *arguments], node.sdk_environment(relay_host))


def published_typescript(node: NodeProcess, app: str, *arguments: str, relay_host: str = "") -> AppProcess:
    """``examples/published_ts/<app>.mjs``, beside a link to the published client's ``node_modules``."""
    modules = Path(os.environ.get("OFFHOOK_PUBLISHED_NODE_MODULES", ROOT / ".cache" / "node" / "node_modules"))
    if not (modules / "@signalwire").exists() or not shutil.which("node"):
        pytest.fail(
            f"no published TypeScript client in {modules}: run `make install`, or set OFFHOOK_PUBLISHED_NODE_MODULES"
        )
    work = node.state_dir / "published-ts"
    work.mkdir(exist_ok=True)
    if not (work / "node_modules").exists():
        (work / "node_modules").symlink_to(modules.resolve())
    path = work / f"{app}.mjs"
    path.write_text((ROOT / "examples" / "published_ts" / f"{app}.mjs").read_text())
    return AppProcess(["node", str(path), *arguments], node.sdk_environment(relay_host))
