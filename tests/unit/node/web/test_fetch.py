"""Fetching from a server that may mean ill."""

from __future__ import annotations

import asyncio
import gzip
import socket
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from offhook.errors import CallerError, MachineError, ProviderError
from offhook.node.engine.prompts import Asker, PromptCache
from offhook.node.web.fetch import WebFetcher
from rig.fetching import fetcher_of

VECTORS = Path(__file__).parents[4] / "vectors" / "prompts"


def wav_header(data_bytes: int) -> bytes:
    return (
        b"RIFF"
        + struct.pack("<I", data_bytes + 36)
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH4sI", 16, 1, 1, 8000, 16_000, 2, 16, b"data", data_bytes)
    )


WAV = wav_header(16_000) + bytes(16_000)
MP3 = (VECTORS / "mono-24000.mp3").read_bytes()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def literal(host: str, _call: str) -> list[str]:
    return [host]


class Rig:
    """A server with one page, and a fetcher that may reach it."""

    def __init__(self, directory: Path) -> None:
        self.cache = PromptCache(directory)
        self.requests: list[web.Request] = []
        self.page: Handler = self.wav
        self.time = 1000.0
        self.wall = 1.7e9
        self.server: TestServer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.page(request)

    async def wav(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=WAV, content_type="audio/wav")

    def url(self, path: str = "/a.wav") -> str:
        return f"http://127.0.0.1:{self.server.port}{path}"

    def fetcher(self, **limits: object) -> WebFetcher:
        known = {"allow_loopback": True, "read_s": 0.3, "total_s": 2.0, "max_bytes": 1 << 20, **limits}
        return fetcher_of(self.cache, resolve=literal, now=lambda: self.wall, steady=lambda: self.time, **known)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.cache.directory.iterdir())


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    application = web.Application()
    application.router.add_route("GET", "/{path:.*}", made.handle)
    async with TestServer(application, host="127.0.0.1") as made.server:
        yield made


@pytest.mark.parametrize("content", [WAV, MP3, b"ID3\x04\0\0\0\0\0\x64" + bytes(100) + MP3])
async def test_audio_becomes_a_complete_prompt(rig: Rig, content: bytes) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(body=content)

    rig.page = page
    source = await rig.fetcher().fetch(rig.url(), Asker("call"))
    path = rig.cache.path(source.prompt)
    assert (path.read_bytes(), source.encoding, source.growing) == (content, "auto", False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert rig.files() == [source.prompt]


async def test_the_same_content_from_two_urls_is_one_file(rig: Rig) -> None:
    fetcher = rig.fetcher()
    first, second = [await fetcher.fetch(rig.url(path), Asker("call")) for path in ("/a.wav", "/b.wav")]
    assert first == second


async def test_what_is_fresh_is_not_asked_for_again_and_what_is_stale_is_by_its_tag(rig: Rig) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        headers = {"ETag": '"one"', "Cache-Control": "public, max-age=60"}
        if request.headers.get("If-None-Match") == '"one"':
            return web.Response(status=304, headers=headers)
        return web.Response(body=WAV, headers=headers)

    rig.page = page
    fetcher = rig.fetcher()
    first = await fetcher.fetch(rig.url(), Asker("call"))
    assert await fetcher.fetch(rig.url(), Asker("call")) == first
    assert len(rig.requests) == 1
    rig.time += 61
    assert await fetcher.fetch(rig.url(), Asker("call")) == first
    assert [request.headers.get("If-None-Match") for request in rig.requests] == [None, '"one"']
    rig.cache.discard(first.prompt)
    assert await fetcher.fetch(rig.url(), Asker("call")) == first


@pytest.mark.parametrize("set_by_s", [-86400.0 * 365, 86400.0 * 365])
async def test_a_clock_that_is_set_makes_no_answer_older_or_newer(rig: Rig, set_by_s: float) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(body=WAV, headers={"Cache-Control": "max-age=60"})

    rig.page = page
    fetcher = rig.fetcher()
    await fetcher.fetch(rig.url(), Asker("call"))
    rig.wall += set_by_s
    await fetcher.fetch(rig.url(), Asker("call"))
    assert len(rig.requests) == 1
    rig.time += 61
    await fetcher.fetch(rig.url(), Asker("call"))
    assert len(rig.requests) == 2


async def test_a_call_that_plays_all_that_it_may_costs_another_one_nothing_that_waits_for_the_same(rig: Rig) -> None:
    """Both were told that they play half of what others leave: the other one played nothing."""
    rig.cache = PromptCache(rig.cache.directory, max_bytes=1 << 20)
    rig.cache.begin("much")
    full, other = Asker("full"), Asker("other")
    rig.cache.hold("much", full)
    rig.cache.grow("much", 512 << 10)
    began, may_end = asyncio.Event(), asyncio.Event()

    async def page(_: web.Request) -> web.StreamResponse:
        began.set()
        await may_end.wait()
        return await rig.wav(_)

    rig.page = page
    fetcher = rig.fetcher(read_s=10.0, total_s=10.0)
    first = asyncio.create_task(fetcher.fetch(rig.url(), full))
    await began.wait()
    second = asyncio.create_task(fetcher.fetch(rig.url(), other))
    await asyncio.sleep(0)
    may_end.set()
    assert (await second).prompt
    assert (await first) == (await second)
    for asker in (full, other):
        asker.close()
    rig.cache.discard("much")
    assert rig.cache.room_bytes == 1 << 20
    alone = Asker("alone")
    rig.cache.begin("much")
    rig.cache.hold("much", alone)
    rig.cache.grow("much", 512 << 10)
    with pytest.raises(MachineError, match="this call plays half"):
        await fetcher.fetch(rig.url("/another.wav"), alone)


async def test_nothing_of_the_environment_goes_along(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    await rig.fetcher().fetch(rig.url(), Asker("call"))
    assert set(rig.requests[0].headers) == {"Host", "Accept", "Accept-Encoding", "User-Agent", "Connection"}


async def test_three_redirects_are_followed_and_four_are_not(rig: Rig) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        left = int(request.path[1:])
        return await rig.wav(request) if left == 0 else web.Response(status=302, headers={"Location": f"/{left - 1}"})

    rig.page = page
    assert (await rig.fetcher().fetch(rig.url("/3"), Asker("call"))).prompt
    with pytest.raises(ProviderError, match="more than 3 times"):
        await rig.fetcher().fetch(rig.url("/4"), Asker("call"))


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "http://[::ffff:10.0.0.1]/",
        "//10.0.0.1/a",
        "http://user:pw@127.0.0.1/",
        "gopher://127.0.0.1/",
    ],
)
async def test_a_redirect_passes_the_guard_again(rig: Rig, location: str) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    rig.page = page
    with pytest.raises(CallerError):
        await rig.fetcher().fetch(rig.url(), Asker("call"))
    assert len(rig.requests) == 1


async def test_loopback_is_refused_unless_allowed(rig: Rig) -> None:
    with pytest.raises(CallerError, match=r"fetch\.allow_loopback"):
        await rig.fetcher(allow_loopback=False).fetch(rig.url(), Asker("call"))
    assert not rig.requests


async def test_a_name_is_resolved_once_and_its_second_answer_is_never_used(rig: Rig) -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def rebinding(_host: str, _call: str) -> list[str]:
        return answers.pop(0)

    fetcher = fetcher_of(rig.cache, resolve=rebinding, allow_loopback=True)
    assert (await fetcher.fetch(f"http://rebind.example:{rig.server.port}/a.wav", Asker("call"))).prompt
    assert rig.requests[0].host == f"rebind.example:{rig.server.port}"
    with pytest.raises(CallerError, match="private or special"):
        await fetcher.fetch(f"http://rebind.example:{rig.server.port}/a.wav", Asker("call"))
    assert len(rig.requests) == 1


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        (lambda: web.Response(status=404), "answered 404"),
        (lambda: web.Response(status=500), "answered 500"),
        (lambda: web.Response(status=304), "answered 304"),
        (lambda: web.Response(status=302), "redirects to nowhere"),
        (lambda: web.Response(text="<html>", content_type="text/html"), "sent text/html, which is no WAV or MP3"),
        (lambda: web.Response(body=b"RIFF\0\0\0\0AVI "), "no WAV or MP3"),
        (lambda: web.Response(body=b""), "empty answer"),
        (lambda: web.Response(body=WAV + bytes(2 << 20)), "more than 1 MiB"),
        (lambda: web.Response(body=gzip.compress(WAV), headers={"Content-Encoding": "gzip"}), "compressed content"),
    ],
)
async def test_an_answer_that_is_no_audio_gets_a_sentence_and_leaves_no_file(
    rig: Rig, response: Callable[[], web.Response], sentence: str
) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return response()

    rig.page = page
    with pytest.raises(ProviderError, match=sentence):
        await rig.fetcher().fetch(rig.url(), Asker("call"))
    assert rig.files() == []


async def test_a_body_without_length_is_cut_at_the_limit(rig: Rig) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(WAV)
        while True:
            await response.write(bytes(1 << 16))

    rig.page = page
    with pytest.raises(ProviderError, match="more than 1 MiB"):
        await rig.fetcher().fetch(rig.url(), Asker("call"))
    assert rig.files() == []


async def test_a_server_that_stops_sending_is_given_up(rig: Rig) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(WAV)
        await asyncio.sleep(5)
        return response

    rig.page = page
    with pytest.raises(ProviderError, match="does not answer in time"):
        await rig.fetcher().fetch(rig.url(), Asker("call"))
    assert rig.files() == []


async def test_a_slow_drip_is_given_up_at_the_total(rig: Rig) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(WAV)
        for _ in range(50):
            await response.write(b"\0")
            await asyncio.sleep(0.1)
        return response

    rig.page = page
    with pytest.raises(ProviderError, match=r"longer than 0\.5 s in all"):
        await rig.fetcher(total_s=0.5).fetch(rig.url(), Asker("call"))
    assert rig.files() == []


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"", "ended the answer early|breaks the rules"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nRIFF\0\0\0\0WAVE", "ended the answer early"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "breaks the rules of HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", "breaks the rules of HTTP"),
    ],
)
async def test_a_server_that_does_not_speak_http_gets_a_sentence(tmp_path: Path, answer: bytes, sentence: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(ProviderError, match=sentence):
            await fetcher_of(PromptCache(tmp_path), resolve=literal, allow_loopback=True).fetch(url, Asker("call"))
    assert list(tmp_path.iterdir()) == []


async def test_nobody_there_gets_a_sentence(rig: Rig) -> None:
    with pytest.raises(ProviderError, match="refuses the connection"):
        await rig.fetcher().fetch("http://127.0.0.1:1/", Asker("call"))


async def test_a_server_that_resets_the_connection_is_said_to_have_ended_it(tmp_path: Path) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    fetcher = fetcher_of(PromptCache(tmp_path), resolve=literal, allow_loopback=True)
    async with server:
        with pytest.raises(ProviderError, match="it ended the answer early"):
            await fetcher.fetch(f"http://127.0.0.1:{port}/a.wav", Asker("call"))
