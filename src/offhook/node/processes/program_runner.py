"""The program that ``offhook dev`` runs: a child process, replaced without a gap when its file changes."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path

import structlog

from offhook.node.processes.lifeline import bound_to_parent

__all__ = ["ProgramRunner", "fingerprint"]

_log = structlog.get_logger(__name__)
_POLL_S = 0.25
_END_S = 3.0
_MAX_FILES = 500

Fingerprint = tuple[tuple[str, int, int], ...]


class ProgramRunner:
    """Keeps one child serving. ``environment`` gives what a child of slot 0 or 1 needs to connect.

    When the file (or a Python file beside it) changes, a child starts in the other slot. Once it has subscribed,
    ``retire`` is called with the old slot, and the old child has ``drain_s`` for its calls. A child that ends
    before it subscribed leaves the old one serving.
    """

    def __init__(
        self,
        program: Path,
        environment: Callable[[int], Mapping[str, str]],
        *,
        serve: Callable[[int], None],
        retire: Callable[[int], None],
        python: str = sys.executable,
        drain_s: float = 30.0,
        stdout: int | None = None,
    ) -> None:
        self._program = program
        self._environment = environment
        self._serve = serve
        self._retire = retire
        self._python = python
        self._drain_s = drain_s
        self._stdout = stdout
        self._children: dict[int, _Child] = {}
        self._serving = -1
        self._is_leaving = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled; then the children get SIGTERM, and 3 s."""
        try:
            seen = fingerprint(self._program)
            await self._start(0)
            while True:
                await asyncio.sleep(_POLL_S)
                now = fingerprint(self._program)
                if now != seen:
                    await asyncio.sleep(_POLL_S)  # editors write more than once
                    seen = fingerprint(self._program)
                    await self._reload()
        finally:
            await self._close()

    def subscribed(self, slot: int) -> None:
        """The node says that a client of this slot takes calls."""
        child = self._children.get(slot)
        if child is None or child.is_retired or self._serving == slot:
            return
        old, self._serving = self._serving, slot
        if old not in self._children:
            _log.info("the program takes calls", program=self._program.name)
        else:
            _log.info("the new program takes calls, the old one has time for its own", drain_s=self._drain_s)
            self._children[old].is_retired = True
            self._retire(old)
            self._spawn(self._drain(old), f"drain app {old}")

    def idle(self, slot: int) -> None:
        """The node says that a retired slot has no calls."""
        child = self._children.get(slot)
        if child is not None and slot != self._serving:
            child.idle.set()

    async def leave(self, within_s: float) -> None:
        """Ask the children to end, and give them ``within_s`` to say goodbye while the node is there; start no more."""
        self._is_leaving = True
        living = [child.process for child in self._children.values() if child.process.returncode is None]
        for process in living:
            process.terminate()
        try:
            async with asyncio.timeout(within_s):
                await asyncio.gather(*(process.wait() for process in living))
        except TimeoutError:
            _log.debug("the program still has something to do", within_s=within_s)

    async def _reload(self) -> None:
        if self._is_leaving:
            return
        slot = 1 - self._serving if self._serving >= 0 else 0
        if slot in self._children:  # still draining, or never subscribed
            await self._end(slot)
        _log.info("the program changed and is started anew", program=self._program.name)
        await self._start(slot)

    async def _start(self, slot: int) -> None:
        self._serve(slot)
        try:
            process = await asyncio.create_subprocess_exec(
                self._python,
                "-u",
                str(self._program),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=self._stdout,
                env={**os.environ, **self._environment(slot)},
                start_new_session=True,
                preexec_fn=bound_to_parent(),
            )
        except OSError as error:
            _log.error("the program cannot be started", python=self._python, reason=error.strerror)
            return
        child = self._children[slot] = _Child(process)
        self._spawn(self._watch(slot, child), f"watch app {slot}")

    async def _watch(self, slot: int, child: _Child) -> None:
        status = await child.process.wait()
        if self._children.get(slot) is not child:
            return
        del self._children[slot]
        if self._is_leaving:
            return
        if self._serving == slot:
            self._serving = -1
            _log.error("the program ended; it is started again when its file changes", status=status)
        elif self._serving >= 0:
            _log.error("the new program failed (see above); the old one goes on serving", status=status)
        elif status == 0:
            _log.error("the program ended before it took calls; it is started again when its file changes")
        else:
            _log.error("the program failed (see above); it is started again when its file changes", status=status)

    async def _drain(self, slot: int) -> None:
        child = self._children[slot]
        try:
            async with asyncio.timeout(self._drain_s):
                await child.idle.wait()
        except TimeoutError:
            _log.warning("the old program still has calls and is ended", after_s=self._drain_s)
        if self._children.get(slot) is child:
            await self._end(slot)

    async def _end(self, slot: int) -> None:
        child = self._children.pop(slot, None)
        if child is None or child.process.returncode is not None:
            return
        if not self._is_leaving:  # a second SIGTERM would cut short what the first began
            child.process.terminate()
        try:
            async with asyncio.timeout(_END_S):
                await child.process.wait()
        except TimeoutError:
            child.process.kill()
            await child.process.wait()

    async def _close(self) -> None:
        await asyncio.gather(*(self._end(slot) for slot in list(self._children)))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Child:
    def __init__(self, process: Process) -> None:
        self.process = process
        self.idle = asyncio.Event()
        self.is_retired = False


def fingerprint(program: Path) -> Fingerprint:
    """Name, time and size of the program and of the Python files beside it and below."""
    found: set[tuple[str, int, int]] = set()
    for path in (str(program), *_siblings(program)):
        try:
            entry = os.stat(path)  # noqa: PTH116  four times a second: without making a Path of each
        except OSError:
            continue
        found.add((path, entry.st_mtime_ns, entry.st_size))
    return tuple(sorted(found))


def _siblings(program: Path) -> list[str]:
    found: list[str] = []
    for directory, directories, files in os.walk(program.parent):
        directories[:] = sorted(
            name for name in directories if not name.startswith((".", "__")) and name not in ("node_modules", "venv")
        )
        found += [f"{directory}{os.sep}{name}" for name in files if name.endswith(".py")]
        if len(found) >= _MAX_FILES:
            break
    return found[:_MAX_FILES]
