"""What an engine says besides the control socket: its log, its ready line, its beats."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from offhook.errors import MachineError
from offhook.node.engine.launch import EngineOptions, launch_engine, lines_of
from offhook.node.processes.waiting_node import start_waiting_node

SECRET = b"s" * 32


async def lines(*chunks: bytes) -> list[bytes]:
    reader = asyncio.StreamReader()
    for chunk in chunks:
        reader.feed_data(chunk)
    reader.feed_eof()
    return [line async for line in lines_of(reader)]


async def test_lines_come_whole_however_they_were_cut_on_the_way() -> None:
    text = b'{"event":"a"}\n\n{"event":"b"}\nthe last'
    for at in range(len(text)):
        assert await lines(text[:at], text[at:]) == [b'{"event":"a"}', b"", b'{"event":"b"}', b"the last"]


async def test_a_line_that_is_too_long_is_cut_and_those_after_it_are_heard() -> None:
    """One line of more than 64 KiB silenced the engine's log for ever."""
    found = await lines(b"x" * 1_000_000 + b"\nafter it\n" + b"y" * 20_000, b"z\n", b"end\n")
    assert [len(line) for line in found] == [16 << 10, 8, 16 << 10, 3]
    assert found[1::2] == [b"after it", b"end"]


def program(tmp_path: Path, body: str) -> Path:
    """An engine that does this; ``ready(text)`` writes to its ready pipe."""
    file = tmp_path / "engine"
    file.write_text(
        f"#!{sys.executable}\nimport os, sys, time\n"
        "pipe = int(sys.argv[sys.argv.index('--ready-fd') + 1])\n"
        "def ready(text): os.write(pipe, text)\n" + body
    )
    file.chmod(0o700)
    return file


def options(tmp_path: Path) -> EngineOptions:
    return EngineOptions(socket=tmp_path / "s", prompts=tmp_path, recordings=tmp_path)


async def test_each_byte_after_the_ready_line_is_a_beat(tmp_path: Path) -> None:
    body = "ready(b'ready\\n')\nfor _ in range(1000):\n    time.sleep(0.01)\n    ready(b'\\n')\n"
    engine = await launch_engine(program(tmp_path, body), options(tmp_path), SECRET)
    beats: asyncio.Queue[None] = asyncio.Queue()
    engine.on_beat = lambda: beats.put_nowait(None)
    async with asyncio.timeout(30):
        for _ in range(3):
            await beats.get()
    engine.process.kill()
    await engine.end()


async def test_an_engine_that_ends_instead_says_why(tmp_path: Path) -> None:
    body = "sys.stderr.write('no such address\\n')\nsys.exit(2)\n"
    with pytest.raises(MachineError, match="with status 2: no such address"):
        await launch_engine(program(tmp_path, body), options(tmp_path), SECRET, hear=lambda _: None)


@pytest.mark.parametrize("spare", range(5))
async def test_without_descriptors_no_part_starts_and_none_that_it_had_is_kept(tmp_path: Path, spare: int) -> None:
    """It was an OSError, at which a supervisor ends with all calls; after this one it tries again."""
    ready = program(tmp_path, "ready(b'ready\\n')\n")
    with few_descriptors(spare):
        before = descriptors()
        with pytest.raises(MachineError, match="cannot be started: Too many open files"):
            await launch_engine(ready, options(tmp_path), SECRET)
        with pytest.raises(MachineError, match="cannot be started: Too many open files"):
            await start_waiting_node(tmp_path)
        assert descriptors() == before


@contextlib.contextmanager
def few_descriptors(spare: int) -> Iterator[None]:
    """This process can open so many more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(descriptors()) + 20, hard))
    held: list[int] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(2))
        for _ in range(spare):
            os.close(held.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)


def descriptors() -> set[int]:
    found = set()
    for number in range(4096):
        with contextlib.suppress(OSError):
            os.fstat(number)
            found.add(number)
    return found
