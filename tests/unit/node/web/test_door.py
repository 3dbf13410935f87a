"""node/web/door: strangers on real sockets, with TLS and without, on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import re
import socket
import ssl
import time
from pathlib import Path

import pytest
import uvloop
from aiohttp import web

from offhook.node.web.crowd import CrowdLimits
from offhook.node.web.door import Door, DoorSettings
from offhook.node.web.tls import LocalCertificates, server_context

PATIENCE_S = 30.0


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class House:
    """A door with three rooms: one answers, one sends a file, one fails."""

    def __init__(self, directory, settings: DoorSettings, *, secure: bool) -> None:
        self._file = directory / "audio"
        self._file.touch()
        os.truncate(self._file, 50_000_000)
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self.answer),
                web.get("/file", self.send),
                web.get("/fault", self.fail),
                web.get("/slow", self.slow),
            ]
        )
        self.context = None
        if secure:
            certificates = LocalCertificates(directory / "tls")
            certificates.ensure(datetime.datetime.now(datetime.UTC))
            self.context = server_context(certificates.chain_file, certificates.key_file)
            self.client_context = ssl.create_default_context(cafile=certificates.ca_file)
        self.door = Door(application, settings)
        self.may_end = asyncio.Event()

    async def answer(self, _request):
        return web.Response(text="ok")

    async def send(self, _request):
        return web.FileResponse(self._file)

    async def fail(self, _request):
        raise RuntimeError("a fault of ours")

    async def slow(self, _request):
        await self.may_end.wait()
        return web.Response(text="at last")

    async def __aenter__(self):
        self.port = await self.door.open(["127.0.0.1"], 0, self.context)
        return self

    async def __aexit__(self, *_):
        await self.door.close()

    async def knock(self, *, secure=True):
        tls = self.client_context if secure and self.context else None
        host = "localhost" if tls else None
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=tls, server_hostname=host)

    async def ask(self, path="/", reader_writer=None) -> bytes:
        reader, writer = reader_writer or await self.knock()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        if reader_writer is None:
            writer.close()
        return answer


def on_loop(name, work):
    """Run a test on asyncio's loop or on uvloop, which the node has."""
    factory = uvloop.new_event_loop if name == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(work(), 150))


async def ended(reader) -> float:
    """How long until the other side closes."""
    began = time.monotonic()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while await asyncio.wait_for(reader.read(1 << 16), PATIENCE_S):
            pass
    return time.monotonic() - began


BOTH = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@BOTH
@pytest.mark.parametrize(
    ("says", "secure"),
    [
        (b"", True),
        (b"GET / HT", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", True),
        (b"", False),
        (b"\x16\x03\x01", False),
    ],
    ids=["nothing", "half a line", "half a header", "nothing without TLS", "half a TLS hello"],
)
def test_who_sends_no_whole_request_in_time_is_closed_and_its_descriptor_is_given_back(tmp_path, loop, says, secure):
    async def work():
        async with House(tmp_path, DoorSettings(request_s=0.5), secure=True) as house:
            await house.ask()
            await asyncio.sleep(0.1)
            before = descriptors()
            knocks = [await house.knock(secure=secure) for _ in range(5)]
            for _, writer in knocks:
                writer.write(says)
            assert house.door.strangers >= 5
            for reader, writer in knocks:
                await ended(reader)
                writer.close()
            until = time.monotonic() + PATIENCE_S
            while (house.door.strangers or descriptors() > before) and time.monotonic() < until:
                await asyncio.sleep(0.05)
            assert house.door.strangers == 0
            assert descriptors() <= before
            assert (await house.ask()).startswith(b"HTTP/1.1 200")

    on_loop(loop, work)


@BOTH
def test_silent_sockets_that_fill_all_places_go_for_a_program_that_comes(tmp_path, loop):
    """Users of a service that counted only what had said hello were locked out by sockets that said nothing."""
    settings = DoorSettings(request_s=30.0, crowd=CrowdLimits(strangers=20, patience_s=0.3))

    async def work():
        async with House(tmp_path, settings, secure=True) as house:
            before = descriptors()
            silent = [await house.knock(secure=False) for _ in range(200)]
            asked = await asyncio.gather(*(asyncio.wait_for(house.ask(), PATIENCE_S) for _ in range(5)))
            assert all(answer.startswith(b"HTTP/1.1 200") for answer in asked)
            assert house.door.strangers <= 20
            for _, writer in silent:
                writer.close()
            await asyncio.sleep(0)
        assert before > 0

    on_loop(loop, work)


@BOTH
def test_a_fleet_that_comes_at_once_is_served_without_one_being_sent_away(tmp_path, loop):
    settings = DoorSettings(crowd=CrowdLimits(strangers=10, patience_s=5.0))

    async def work():
        async with House(tmp_path, settings, secure=True) as house:
            answers = await asyncio.gather(*(house.ask() for _ in range(60)))
            assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)

    on_loop(loop, work)


@BOTH
@pytest.mark.parametrize("secure", [True, False])
def test_a_stranger_may_send_so_many_bytes_whatever_they_are(tmp_path, loop, secure):
    async def work():
        async with House(tmp_path, DoorSettings(stranger_bytes=10_000), secure=secure) as house:
            reader, writer = await house.knock()
            for _ in range(20):
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Padding: " + b"x" * 1000 + b"\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            await ended(reader)
            assert (await house.ask()).startswith(b"HTTP/1.1 200")
            writer.close()

    on_loop(loop, work)


@BOTH
def test_a_connection_that_goes_on_asking_has_its_time_after_each_answer_and_so_many_requests(tmp_path, loop):
    async def work():
        async with House(tmp_path, DoorSettings(request_s=0.5, stranger_requests=4), secure=True) as house:
            both = await house.knock()
            for _ in range(3):
                assert b"close" not in await house.ask("/", both)
                assert await both[0].readexactly(2) == b"ok"
                await asyncio.sleep(0.3)
            assert b"Connection: close" in await house.ask("/", both)
            await ended(both[0])
            both[1].close()
            idle = await house.knock()
            await house.ask("/", idle)
            assert await idle[0].readexactly(2) == b"ok"
            assert await ended(idle[0]) < PATIENCE_S
            idle[1].close()

    on_loop(loop, work)


@BOTH
def test_requests_for_what_is_not_there_count_like_others(tmp_path, loop):
    async def work():
        async with House(tmp_path, DoorSettings(stranger_requests=3), secure=False) as house:
            reader, writer = both = await house.knock()
            for last in (False, False, True):
                answer = await house.ask("/nothing-is-here", both)
                assert answer.startswith(b"HTTP/1.1 404")
                assert (b"Connection: close" in answer) is last
                length = int(re.search(rb"Content-Length: (\d+)", answer)[1])
                await reader.readexactly(length)
            await ended(reader)
            writer.close()

    on_loop(loop, work)


@BOTH
def test_an_answer_that_takes_long_is_not_cut(tmp_path, loop):
    async def work():
        async with House(tmp_path, DoorSettings(request_s=0.2), secure=True) as house:
            asking = asyncio.create_task(house.ask("/slow"))
            await asyncio.sleep(1.0)
            house.may_end.set()
            assert (await asking).startswith(b"HTTP/1.1 200")

    on_loop(loop, work)


@BOTH
def test_downloads_have_places_and_one_more_is_told_to_try_again(tmp_path, loop):
    settings = DoorSettings(request_s=0.5, crowd=CrowdLimits(guests=2))

    async def work():
        async with House(tmp_path, settings, secure=True) as house:
            slow = [await house.knock() for _ in range(2)]
            for both in slow:
                assert (await house.ask("/file", both)).startswith(b"HTTP/1.1 200")
            refused = await house.ask("/file")
            assert refused.startswith(b"HTTP/1.1 503")
            assert b"Retry-After" in refused
            await asyncio.sleep(1.0)
            assert len(await asyncio.wait_for(slow[0][0].readexactly(50_000_000), 30)) == 50_000_000
            slow[0][1].close()
            until = time.monotonic() + PATIENCE_S
            while not (await house.ask("/file")).startswith(b"HTTP/1.1 200"):
                assert time.monotonic() < until
                await asyncio.sleep(0.1)
            slow[1][1].transport.abort()

    on_loop(loop, work)


@BOTH
def test_without_a_descriptor_left_newcomers_wait_and_are_served_when_there_is_one(tmp_path, loop, monkeypatch):
    async def work():
        async with House(tmp_path, DoorSettings(), secure=False) as house:
            real, refusals = socket.socket.accept, [0]

            def accept(listener):
                if refusals[0] < 2:
                    refusals[0] += 1
                    raise OSError(24, "Too many open files")
                return real(listener)

            monkeypatch.setattr(socket.socket, "accept", accept)
            assert (await house.ask()).startswith(b"HTTP/1.1 200")
            assert refusals[0] == 2

    on_loop(loop, work)


NOT_HTTP = [
    b"\xff" * 8000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: \xff\x00\r\n\r\n",
    b"GET /recordings/a.wav?expires=9&signature=SECRETSECRET&x=\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /recordings/a.wav?expires=9&signature=SECRETSECRET HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]


@BOTH
@pytest.mark.parametrize("text", NOT_HTTP, ids=range(len(NOT_HTTP)))
def test_what_is_no_http_gets_one_sentence_and_leaves_none_of_its_bytes_in_the_log(tmp_path, loop, text, capfd):
    async def work():
        async with House(tmp_path, DoorSettings(), secure=False) as house:
            for _ in range(20):
                reader, writer = await house.knock()
                writer.write(text)
                answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
                assert answer[5:].startswith((b"1.0 400", b"1.1 400"))
                assert b"Server: offhook\r\n" in answer
                assert b"aiohttp" not in answer
                assert len(answer) < 400
                writer.close()

    on_loop(loop, work)
    told = "".join(capfd.readouterr())
    assert len(told) < 600, "twenty of them are two lines"
    assert "SECRETSECRET" not in told
    assert "Traceback" not in told
    assert "no HTTP" in told


@BOTH
def test_a_fault_of_ours_is_told_once_with_its_place_and_counted_then(tmp_path, loop, capfd):
    async def work():
        async with House(tmp_path, DoorSettings(), secure=False) as house:
            for _ in range(10):
                answer = await house.ask("/fault?signature=SECRETSECRET")
                assert answer.startswith(b"HTTP/1.1 500")

    on_loop(loop, work)
    told = "".join(capfd.readouterr())
    assert told.count("RuntimeError: a fault of ours") == 1
    assert "SECRETSECRET" not in told
    assert "times=9" in told


SMUGGLED = b"GET /fault HTTP/1.1\r\nHost: x\r\n\r\n"
TRICKS = [
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\nContent-Length: 50\r\n\r\n" + SMUGGLED,
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 50\r\n\r\n" + SMUGGLED,
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +50\r\n\r\n" + SMUGGLED,
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n" + SMUGGLED,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + SMUGGLED,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + SMUGGLED,
    b"GET / HTTP/1.1\r\nHost: x\r\n Folded: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nBad\x00Name: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(1000)) + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 9000 + b"\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
]


@pytest.mark.parametrize("text", TRICKS, ids=range(len(TRICKS)))
def test_a_trick_of_syntax_gets_one_answer_and_hides_no_second_request(tmp_path, text, capfd):
    async def work():
        async with House(tmp_path, DoorSettings(request_s=1.0), secure=False) as house:
            reader, writer = await house.knock()
            writer.write(text)
            answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
            assert answer[9:12] in (b"400", b"405", b"505"), answer[:80]
            assert answer.count(b"HTTP/1.") - answer.count(b"no HTTP/1.1") <= 2
            assert b"500" not in answer[:20]
            writer.close()
            assert (await house.ask()).startswith(b"HTTP/1.1 200")

    on_loop("asyncio", work)
    assert "a fault of the node" not in "".join(capfd.readouterr()), "the smuggled one was asked"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_methods_that_are_not_served_are_told_which_are(tmp_path, method):
    async def work():
        async with House(tmp_path, DoorSettings(), secure=False) as house:
            reader, writer = await house.knock()
            writer.write(f"{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
            assert answer.startswith(b"HTTP/1.1 405")
            assert b"Allow: GET,HEAD" in answer
            writer.close()

    on_loop("asyncio", work)


def test_a_download_that_nobody_reads_gives_its_place_back(tmp_path):
    async def work():
        async with House(tmp_path, DoorSettings(unread_s=1.0, crowd=CrowdLimits(guests=1)), secure=True) as house:
            stuck = await house.knock()
            assert (await house.ask("/file", stuck)).startswith(b"HTTP/1.1 200")
            assert (await house.ask("/file")).startswith(b"HTTP/1.1 503")
            until = time.monotonic() + 30
            while not (await house.ask("/file")).startswith(b"HTTP/1.1 200"):
                assert time.monotonic() < until
                await asyncio.sleep(0.3)
            stuck[1].transport.abort()

    on_loop("uvloop", work)
