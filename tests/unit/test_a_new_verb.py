"""A verb that nobody knows, added by its three modules: the gateway runs it, the SDK asks for it, the pages have it.

It is added to a copy of the sources, of which `make generate` makes what follows, in processes of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = {"src", "docs", "scripts"}
LEFT_OUT = {".git", ".venv", ".cache", "target", "out"}
MADE = {
    "docs/reference.md",
    "src/offhook/__init__.py",
    "src/offhook/client/app/typed_events.py",
    "src/offhook/client/calls/call.py",
    "src/offhook/client/calls/typed_events.py",
}

PROTOCOL = '''
"""``calling.hum``: hum to the party."""

from __future__ import annotations

from typing import ClassVar, Final

from offhook.protocol.params import ControlParams, PositiveSeconds, Volume
from offhook.protocol.spec import VerbSpec

__all__ = ["EVENT", "SPECS", "Hum", "HumStop", "HumVolume"]

EVENT: Final = "calling.call.hum"


class Hum(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.hum``."""

    method: ClassVar[str] = "calling.hum"
    accepted: ClassVar[str] = "Humming"

    duration: PositiveSeconds = 60.0


class HumStop(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.hum.stop``."""

    method: ClassVar[str] = "calling.hum.stop"
    accepted: ClassVar[str] = "Stopping"


class HumVolume(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.hum.volume``."""

    method: ClassVar[str] = "calling.hum.volume"
    accepted: ClassVar[str] = "Changed hum volume"

    volume: Volume


def is_silent(params):
    """Whether this event is the last."""
    return params.get("mood") == "silent"


SPECS: Final = (
    VerbSpec(
        section=(4, 11),
        start=Hum,
        commands=(HumStop, HumVolume),
        event=EVENT,
        is_end=is_silent,
        lost=({"mood": "silent"},),
        exclusive="hum",
        not_found="call",
    ),
)
'''

NODE = '''
"""``calling.hum``: what it does."""

from __future__ import annotations

import asyncio

from offhook.node.verbs.base import Verb
from offhook.protocol.verbs import hum

__all__ = ["Hum"]


class Hum(Verb[hum.Hum]):
    """Ends after its duration."""

    spec = hum.SPECS[0]

    async def run(self):
        self.accept()
        self.emit(self.event, {"mood": "humming", "volume": 0.0})
        await asyncio.sleep(self.params.duration)

    async def finish(self, cause):
        return [(self.event, {"mood": "silent", "cause": cause.value})]

    async def volume(self, params):
        self.emit(self.event, {"mood": "humming", "volume": params.volume})
'''

CLIENT = '''
"""Hum to the party. ``calling.call.hum`` tells how loud."""

from __future__ import annotations

from typing import Any

from offhook.client.actions.action import Action
from offhook.client.actions.call_base import CallBase
from offhook.client.events.base import Number, RelayEvent, Text
from offhook.client.listening.tasks import Handler
from offhook.client.words.compose import compose, new_id
from offhook.protocol.verbs import hum

__all__ = ["HumAction", "HumEvent", "HumVerb"]


class HumEvent(RelayEvent, of=hum.EVENT):
    """How it hums."""

    __slots__ = ()

    mood = Text("mood")
    """``humming`` or ``silent``."""
    volume_db = Number("volume")
    """How loud."""


class HumAction(Action[HumEvent]):
    """A hum. Ends when it is silent."""

    spec = hum.SPECS[0]

    async def volume(self, volume: float) -> dict[str, Any]:
        """Hum louder, or not as loud.

        Args:
            volume: -40 to 40 dB.
        """
        return await self._command("volume", volume=volume)


class HumVerb(CallBase):
    """``hum``."""

    async def hum(
        self, *, duration: float | None = None, on_completed: Handler[HumEvent] | None = None, **extra: Any
    ) -> HumAction:
        """Hum.

        Args:
            duration: seconds, default 60.
            on_completed: called with the last event, sync or async.
            extra: sent as it is.
        """
        action = HumAction(self, new_id(), on_completed)
        given = {"control_id": action.control_id, "duration": duration}
        return await self.start(action, compose(hum.Hum, given, extra))
'''

PROGRAM = """
import asyncio
import sys
from pathlib import Path

from aiohttp import web

from offhook import Call, HumAction, HumEvent, RelayClient, RelayError
from offhook.node.verbs.registry import ACTIONS, BUILT, STEERING
from offhook.node.web.door import Door
from offhook.protocol.verbs import SPECS
from rig.whole import PROJECT, TOKEN, WholeNode

assert {"calling.hum", "calling.hum.stop", "calling.hum.volume"} <= BUILT
assert ACTIONS["calling.hum"].spec is SPECS["calling.hum"] is HumAction.spec
assert STEERING["calling.hum.volume"] == ((ACTIONS["calling.hum"],), "volume")


async def talk(call: Call) -> None:
    await call.answer()
    told: list[HumEvent] = []
    call.on("calling.call.hum", told.append)
    first = asyncio.create_task(call.wait_for("calling.call.hum"))
    await asyncio.sleep(0)

    hum = await call.hum()
    assert isinstance(await first, HumEvent)
    assert (await hum.volume(6.0))["message"] == "Changed hum volume"
    assert await refusal(call.hum()) == (409, f"hum {hum.control_id} is running: stop it first, or wait for its end")
    await hum.stop()
    last = await hum.wait(10)
    assert isinstance(last, HumEvent) and hum.result is last and hum.is_over and last.cause is None
    assert [(event.mood, event.volume_db) for event in told] == [("humming", 0.0), ("humming", 6.0), ("silent", 0.0)]
    assert await refusal(hum.volume(1.0)) == (409, "It has ended")
    code, sentence = await refusal(call.hum(duration=-1))
    assert code == 400 and sentence.startswith("`duration`"), sentence

    assert (await (await call.hum(duration=0.01)).wait(10)).mood == "silent"
    unfinished = await call.hum()
    await call.hangup()
    assert (await unfinished.wait(10)).mood == "silent", "the node ends it before the call"
    assert (await call.wait_for_ended(10)).cause is None


async def refusal(asking):
    try:
        await asking
    except RelayError as error:
        return error.code, error.message
    raise AssertionError("it was not refused")


async def main() -> None:
    node = WholeNode(Path(sys.argv[1]))
    await node.start()
    application = web.Application()
    application.add_routes(node.gateway.routes())
    door = Door(application)
    port = await door.open(["127.0.0.1"], 0, None)
    talking = asyncio.get_running_loop().create_future()
    async with RelayClient(PROJECT, TOKEN, f"ws://127.0.0.1:{port}", ["default"]) as client:

        @client.on_call
        async def handle(call: Call) -> None:
            talking.set_result(asyncio.create_task(talk(call)))

        node.ring()
        await (await talking)
    await node.stop()
    await door.close()
    print("hummed")


asyncio.run(main())
"""


class Copy:
    """Sources that may be changed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for one in ROOT.iterdir():
            if one.name in COPIED:
                shutil.copytree(one, root / one.name, ignore=shutil.ignore_patterns("__pycache__"))
            elif one.name not in LEFT_OUT:
                (root / one.name).symlink_to(one)

    def add(self, room: str, text: str) -> None:
        """A module of the new verb."""
        (self.root / f"src/offhook/{room}/verbs/hum.py").write_text(text.lstrip())

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A Python program on these sources."""
        path = os.pathsep.join(str(self.root / folder) for folder in ("src", "tests", "."))
        command = [sys.executable, "-W", "error", *arguments]
        environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    copy = Copy(tmp_path_factory.mktemp("sources"))
    for room, text in (("protocol", PROTOCOL), ("node", NODE), ("client", CLIENT)):
        copy.add(room, text)
    done = copy.run("scripts/generate.py")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, len(MADE)), done
    return copy


def test_three_modules_are_all_that_was_written(copy: Copy) -> None:
    """What else differs is what was made."""
    changed = [
        str(path.relative_to(copy.root))
        for folder in sorted(COPIED)
        for path in sorted((copy.root / folder).rglob("*.*"))
        if path.is_file()
        for old in [ROOT / path.relative_to(copy.root)]
        if not old.exists() or old.read_bytes() != path.read_bytes()
    ]
    written = {f"src/offhook/{room}/verbs/hum.py" for room in ("client", "node", "protocol")}
    assert set(changed) == MADE | written


def test_what_was_made_is_made_once_and_what_is_old_is_told(copy: Copy) -> None:
    call = copy.root / "src/offhook/client/calls/call.py"
    made = call.read_text()
    call.write_text((ROOT / call.relative_to(copy.root)).read_text())
    done = copy.run("scripts/generate.py", "--check")
    call.write_text(made)
    told = "src/offhook/client/calls/call.py is not what follows from the verbs: run `make generate`\n"
    assert (done.returncode, done.stdout) == (1, told), done


def test_it_runs_on_a_node_by_the_sdk(copy: Copy, tmp_path: Path) -> None:
    done = copy.run("-c", PROGRAM, str(tmp_path))
    assert done.stdout.endswith("hummed\n"), done.stdout + done.stderr


def test_an_editor_completes_its_events(copy: Copy) -> None:
    source = (copy.root / "src/offhook/client/calls/typed_events.py").read_text()
    assert source.count('Literal["calling.call.hum"]') == 2
    assert "handler: Handler[HumEvent]" in source
    assert "-> HumEvent: ..." in source


def test_it_has_a_page_in_the_navigation_with_its_words_and_events(copy: Copy, tmp_path: Path) -> None:
    laid_out = copy.run(
        "-c",
        "import pathlib, sys; from docs.site.stage import lay_out; lay_out(pathlib.Path(sys.argv[1]))",
        str(tmp_path / "site"),
    )
    assert laid_out.returncode == 0, laid_out.stderr
    page = (tmp_path / "site/reference/hum.md").read_text()
    assert page.startswith("# hum\n\nHum to the party. `calling.call.hum` tells how loud.\n\n## call.hum\n")
    assert "On the wire: `calling.hum`." in page
    assert "| `duration` | `float` | seconds, default 60.<br>*a number of seconds greater than 0" in page
    assert "## HumAction\n" in page
    assert "### calling.call.hum\n\n`HumEvent`: How it hums." in page
    assert "Of `calling.hum` one runs at a time on a call" in page
    assert "\nreference/hum\n" in (tmp_path / "site/index.md").read_text()
    assert "| [hum](hum.md) | hum to the party |" in (tmp_path / "site/reference/index.md").read_text()
    assert (
        "| [HumAction](hum.md#humaction) | A hum. Ends when it is silent. |"
        in (tmp_path / "site/reference/actions.md").read_text()
    )
    assert "## calling.call.hum\n" in (tmp_path / "site/reference/events.md").read_text()
