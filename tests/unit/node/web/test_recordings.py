"""Links to recordings, asked for over HTTP."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from offhook.errors import ConfigurationError
from offhook.node.gateway.steady import SteadyTime
from offhook.node.web.recordings import RecordingServer, load_link_key, mask_links, remove_old

CONTENT = bytes(range(256)) * 4


class Site:
    """A server, and a client that asks it, at a time that the test sets."""

    def __init__(self, directory: Path) -> None:
        self.time = self.began_at = 1_000_000.0
        self.client: TestClient
        self.recordings = RecordingServer(directory, b"k" * 32, lambda: "https://node", 3600.0, self)

    def now(self) -> float:
        return self.time

    latest = now

    async def get(self, url: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
        path = URL(url.removeprefix("https://node"), encoded=True)
        async with self.client.request(method, path, headers=headers) as response:
            return response.status, await response.read(), dict(response.headers)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    (tmp_path / "a.wav").write_bytes(CONTENT)
    made = Site(tmp_path)
    application = web.Application()
    application.add_routes(made.recordings.routes())
    async with TestClient(TestServer(application)) as made.client:
        yield made


async def test_a_link_gives_the_file(site: Site) -> None:
    status, body, headers = await site.get(site.recordings.url("a.wav"))
    assert (status, body, headers["Content-Type"]) == (200, CONTENT, "audio/wav")


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [("bytes=0-9", 206, CONTENT[:10]), ("bytes=-4", 206, CONTENT[-4:]), ("bytes=1000-", 206, CONTENT[1000:])],
)
async def test_a_range_gives_that_part(site: Site, wanted: str, status: int, body: bytes) -> None:
    assert (await site.get(site.recordings.url("a.wav"), Range=wanted))[:2] == (status, body)


class Machine:
    """Its clock is set by ``ahead``; ``passed`` has been since it began. Processes begin at each ``start``."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self.ahead = self.passed = 0.0
        self._directory = directory
        real, began = time.time(), asyncio.get_running_loop().time()
        patch.setattr(time, "time", lambda: real + self.ahead + self.passed)
        patch.setattr(asyncio.get_running_loop(), "time", lambda: began + self.passed)

    def start(self) -> RecordingServer:
        clock = SteadyTime()
        clock.now()
        return RecordingServer(self._directory, b"k" * 32, lambda: "https://node", 3600.0, clock)


@pytest.fixture
async def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    with monkeypatch.context() as patch:
        yield Machine(tmp_path, patch)


def old(recordings: RecordingServer, *links: str) -> list[bool]:
    queries = [URL(link).query for link in links]
    return [recordings.is_old(int(query["expires"]), query["made"]) for query in queries]


STEPS = pytest.mark.parametrize("step", [2 * 3600.0, 31 * 86400.0, -2 * 3600.0, -31 * 86400.0])
COMES_BACK = pytest.mark.parametrize("comes_back", [True, False])


@STEPS
@COMES_BACK
async def test_a_link_works_for_its_lifetime_wherever_the_clock_was_set(
    machine: Machine, step: float, comes_back: bool
) -> None:
    """All links answered 410 while a clock was set on, and those made meanwhile worked for longer by the step."""
    recordings = machine.start()
    links = [recordings.url("a.wav")]
    machine.ahead = step
    links.append(recordings.url("a.wav"))
    machine.ahead = 0.0 if comes_back else step
    machine.passed = 3550.0
    assert old(recordings, *links) == [False, False]
    machine.passed = 3601.0
    assert old(recordings, *links) == [True, True]


@STEPS
@COMES_BACK
async def test_over_a_restart_a_link_works_for_its_lifetime_by_a_clock_that_stays_as_it_is(
    machine: Machine, step: float, comes_back: bool
) -> None:
    """What was set on or back before the link was made, and is so still, neither ends a link nor lengthens it."""
    recordings = machine.start()
    machine.ahead = step
    if comes_back:
        recordings.url("a.wav")
        machine.ahead = 0.0
    link = recordings.url("a.wav")
    machine.passed = 3000.0
    again = machine.start()
    machine.passed = 3550.0
    assert old(again, link) == [False]
    machine.passed = 3601.0 if machine.ahead >= 0 else 3000.0 + 3601.0
    assert old(again, link) == [True]


@STEPS
async def test_a_clock_that_is_set_before_a_restart_lengthens_no_link_by_more_than_its_lifetime(
    machine: Machine, step: float
) -> None:
    """The next process cannot know when a link was made, but that it was before it began."""
    machine.ahead = step
    link = machine.start().url("a.wav")
    machine.ahead, machine.passed = 0.0, 3000.0
    again = machine.start()
    machine.passed += 3601.0
    assert old(again, link) == [True]


async def test_a_range_beyond_the_end_is_416(site: Site) -> None:
    assert (await site.get(site.recordings.url("a.wav"), Range="bytes=5000-"))[0] == 416


async def test_head_tells_the_length(site: Site) -> None:
    status, body, headers = await site.get(site.recordings.url("a.wav"), "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(CONTENT)))


async def test_an_old_link_is_410_with_a_sentence(site: Site) -> None:
    url = site.recordings.url("a.wav")
    site.time += 3600
    assert (await site.get(url))[0] == 200
    site.time += 1
    status, body, _ = await site.get(url)
    assert status == 410
    assert b"link_lifetime_s" in body


async def test_a_later_expiry_cannot_be_written_into_a_link(site: Site) -> None:
    url = site.recordings.url("a.wav")
    assert (await site.get(url.replace("expires=1003600", "expires=9003600")))[0] == 403
    assert (await site.get(url.replace(".0&", ".9000000&")))[0] == 403
    assert (await site.get(url.replace("made=", "made=a")))[0] == 403


async def test_a_link_is_for_its_recording_alone(site: Site) -> None:
    (site.recordings.directory / "b.wav").write_bytes(b"other")
    assert (await site.get(site.recordings.url("a.wav").replace("a.wav", "b.wav")))[0] == 403


async def test_a_removed_recording_is_404(site: Site) -> None:
    assert (await site.get(site.recordings.url("gone.wav")))[0] == 404


async def test_a_recording_under_way_says_that_it_is_and_not_that_it_was_removed(site: Site) -> None:
    (site.recordings.directory / "now.wav.part").write_bytes(b"RIFF")
    status, body, _ = await site.get(site.recordings.url("now.wav"))
    assert status == 404
    assert b"still being made" in body


async def test_a_symbolic_link_in_the_directory_is_not_followed(site: Site, tmp_path: Path) -> None:
    (site.recordings.directory / "link.wav").symlink_to(tmp_path / "a.wav")
    assert (await site.get(site.recordings.url("link.wav")))[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/recordings/..%2f..%2fetc%2fpasswd",
        "/recordings/%2e%2e/x",
        "/recordings/.hidden",
        "/recordings/a.wav",
        "/recordings/a.wav?expires=9999999999",
        "/recordings/a.wav?expires=9999999999&signature=",
        "/recordings/a.wav?expires=-1&made=a.0&signature=x",
        "/recordings/a.wav?expires=%D9%A1&made=a.0&signature=x",
        "/recordings/a.wav?expires=1&made=a.0&signature=%C3%A9",
        "/recordings/a.wav?expires=1&made=a.-1&signature=x",
        "/recordings/a.wav?expires=1&signature=x",
        "/recordings/a.wav%00?expires=1&made=a.0&signature=x",
        "/recordings/",
    ],
)
async def test_tricks_get_nothing(site: Site, path: str) -> None:
    status, body, _ = await site.get(path)
    assert status in (400, 403, 404)
    assert CONTENT not in body


@pytest.mark.parametrize("name", ["../a.wav", "/etc/passwd", ".a", "", "a/b", "a\n", "x" * 200])
def test_no_link_is_made_to_what_is_no_name(site: Site, name: str) -> None:
    with pytest.raises(ValueError, match="not a recording name"):
        site.recordings.url(name)


def test_a_link_in_a_log_loses_its_proof(site: Site) -> None:
    url = site.recordings.url("a.wav")
    signature = url.partition("signature=")[2]
    assert signature not in mask_links(f"GET {url} HTTP/1.1")
    assert "a.wav" in mask_links(url)


def test_the_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    file = tmp_path / "key"
    key = load_link_key(file)
    assert load_link_key(file) == key
    assert len(key) == 32
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_link_key(file)


def test_old_recordings_are_removed(tmp_path: Path) -> None:

    for name, at in (("old.wav", 100), ("new.wav", 300)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (at, at))
    assert remove_old(tmp_path, older_than=200) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["new.wav"]
