"""README and guides, followed word by word: programs are saved, commands are run, calls are placed."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from offhook.testing.dev import DevNode
from offhook.testing.phone import Phone
from rig.documents import Reader, blocks, commands
from rig.node import ROOT

INSTALLED = "installing is what came before this test"
SHELL = "for the shell of a person"
SKIPPED = {
    "README.md": {
        "make demo": "a target of its own",
        ". .venv/bin/activate": SHELL,
        "offhook dev examples/published_python/ivr.py --python ~/my-venv/bin/python": "test_published_python runs it",
        'eval "$(offhook dev --env)"': SHELL,
        "offhook serve --config /etc/offhook/offhook.toml": "test_processes runs serve",
    },
    "docs/getting-started.md": {
        "make install": INSTALLED,
        ". .venv/bin/activate": SHELL,
        'eval "$(offhook dev --env)"': SHELL,
        "python caller.py sip:demo@127.0.0.1": "ports are others in tests: test_the_caller_of_the_guide",
    },
    "docs/testing-your-app.md": {"pip install pytest": INSTALLED},
}
RUN = {
    "README.md": ["offhook dev app.py", "offhook call --press 7 --out heard.wav"],
    "docs/getting-started.md": [
        "offhook dev app.py",
        "offhook call --out heard.wav",
        "offhook call --press 2 --out heard.wav",
    ],
    "docs/testing-your-app.md": ["pytest test_script.py test_call.py"],
}


def follow(page: str, directory: Path) -> None:
    """Do what a page says; nothing may fail."""
    directory.mkdir()
    reader = Reader(directory)
    try:
        reader.follow(ROOT / page, SKIPPED[page])
    finally:
        reader.close()
    assert reader.done == RUN[page]
    if heard := list(directory.glob("heard.wav")):
        assert heard[0].stat().st_size > 16_000, "a second was heard"


def test_the_pages_can_be_followed(tmp_path: Path) -> None:
    """All at once: speech takes its time."""
    for page, skipped in SKIPPED.items():
        assert set(skipped) <= set(commands(ROOT / page)), f"{page} has the commands that are skipped"
    with ThreadPoolExecutor() as pool:
        readers = {page: pool.submit(follow, page, tmp_path / Path(page).stem) for page in RUN}
    for page, result in readers.items():
        assert result.exception() is None, f"{page}: {result.exception()}"


@pytest.fixture
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the programs of the guide, as they are at its end."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    for block in blocks(ROOT / "docs/getting-started.md"):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
    return tmp_path


async def start_caller(guide: Path, node: DevNode, uri: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, **node.environment}
    return await asyncio.create_subprocess_exec(sys.executable, str(guide / "caller.py"), uri, env=environment)


async def test_the_caller_of_the_guide_reaches_the_program_of_the_guide(guide: Path) -> None:
    async with DevNode(guide / "app.py") as node:
        caller = await start_caller(guide, node, node.uri)
        assert await asyncio.wait_for(caller.wait(), 90) == 0, node.log


async def test_the_caller_of_the_guide_reaches_a_phone(guide: Path) -> None:
    async with DevNode() as node, Phone() as phone:
        caller = await start_caller(guide, node, phone.uri)
        call = await phone.answer_next(within_s=60)
        await call.hears_energy(within_s=30)
        await call.waits_ended(within_s=60)
        assert await caller.wait() == 0
