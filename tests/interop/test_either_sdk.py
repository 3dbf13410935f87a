"""The same programs on the published SDK and on ours, side by side on one node: told, seen and heard the same."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import web

from rig import audio
from rig.node import NodeProcess, serving
from rig.parties import PARTIES
from rig.stage import MODULES, PROGRAMS, Forks, Stage
from rig.stories import SEEN, STORIES, Seen
from rig.together import Together

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

AT_ONCE = 6
"""Scenarios of one SDK that run at the same time."""

PARTNERS = {"take"}
"""Programs that are the second in the scenario of another."""

UNTOLD = {"ready", "exit", "made"}
"""Words of programs that are the rig's, or other in every run."""


class Outcome(NamedTuple):
    """What the program said and the party saw; ``failure`` instead when it came to nothing."""

    told: dict[str, list[str]]
    seen: Seen
    log: str
    failure: str = ""


def settings() -> str:
    """Each program has a number and a context of its own on each SDK."""
    names = [f"{name}-{sdk}" for name in PARTIES for sdk in MODULES]
    routes = "".join(f'[[routes]]\nmatch = "{name}*"\ncontext = "{name}"\n' for name in names)
    return f"[fetch]\nallow_loopback = true\n{routes}"


@asynccontextmanager
async def published_file(work: Path) -> AsyncIterator[str]:
    """The URL of a tone of 800 Hz."""
    audio.write_wav(work / "tone.wav", audio.tone(800, 1.0))
    app = web.Application()
    app.router.add_static("/", work)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/tone.wav"
    await runner.cleanup()


async def perform(stage: Stage) -> Outcome:
    """One program and its party."""
    with stage:
        try:
            seen = await PARTIES[stage.name](stage)
        except (AssertionError, OSError) as error:
            return Outcome({}, [], stage.log, f"{error}")
        story = stage.first.story
        status = story["exit"]
        told = {word: lines for word, lines in story.items() if word not in UNTOLD}
        return Outcome(told, seen, stage.log, "" if status == ["0"] else f"exit {status}\n{stage.log}")


async def perform_all(node: NodeProcess, sdk: str, work: Path) -> dict[str, Outcome]:
    """All programs on one SDK, some at a time."""
    some = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Outcome:
        async with some:
            return await perform(Stage(sdk, name, node, forks, work, url))

    async with published_file(work) as url, Forks(sdk, node) as forks:
        return dict(zip(PARTIES, await asyncio.gather(*map(one, PARTIES)), strict=True))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    together = Together()
    work = {sdk: tmp_path_factory.mktemp(sdk) for sdk in MODULES}
    with serving(tmp_path_factory.mktemp("node"), settings()) as node:
        for sdk in MODULES:
            together.start(sdk, lambda sdk=sdk: perform_all(node, sdk, work[sdk]))
        try:
            yield together
        finally:
            together.close()


def outcome(together: Together, sdk: str, name: str) -> Outcome:
    found: Outcome = together.outcome(sdk, 280)[name]
    assert not found.failure, found.failure
    return found


def test_every_program_has_a_party() -> None:
    assert {path.stem for path in PROGRAMS.glob("*.py")} - PARTNERS == PARTIES.keys()


def test_the_programs_name_no_sdk() -> None:
    for path in PROGRAMS.glob("*.py"):
        code = re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)
        assert not re.search(r"offhook|signalwire", code), path.name
        assert "sdk = importlib.import_module(sys.argv[1])\n" in code


@pytest.mark.parametrize("name", PARTIES)
def test_a_program_is_told_and_its_party_sees_the_same_with_either_sdk(outcomes: Together, name: str) -> None:
    ours, theirs = outcome(outcomes, "ours", name), outcome(outcomes, "published", name)
    assert ours.told == theirs.told
    assert ours.seen == theirs.seen
    assert ours.told == STORIES[name]
    assert ours.seen == SEEN[name]


@pytest.mark.parametrize("name", PARTIES)
def test_our_sdk_ends_without_a_warning(outcomes: Together, name: str) -> None:
    log = outcome(outcomes, "ours", name).log
    assert "was never" not in log
    assert "Unclosed" not in log
    assert log.count("Traceback") == {"left": 1, "several": 1}.get(name, 0), log
