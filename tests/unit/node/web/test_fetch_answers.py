"""How web servers hand out good audio, and URLs as programs have them: byte for byte on a socket."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from offhook.errors import CallerError, ProviderError
from offhook.node.engine.prompts import Asker, PromptCache
from offhook.node.names.names import NameLimits, Names
from offhook.node.web.guard import parse_url
from rig.fetching import fetcher_of

WAV = (
    b"RIFF"
    + struct.pack("<I", 1636)
    + b"WAVEfmt "
    + struct.pack("<IHHIIHH4sI", 16, 1, 1, 8000, 16_000, 2, 16, b"data", 1600)
    + bytes(range(200)) * 8
)


class Server:
    """Answers each request with the bytes that are set, piece by piece, and keeps what was asked for."""

    def __init__(self, directory: Path) -> None:
        self.cache = PromptCache(directory)
        self.targets: list[str] = []
        self.answers: list[list[bytes]] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.targets.append(head.split(b" ")[1].decode("latin-1"))
        for piece in self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async def fetch(self, target: str = "/a.wav", *, host: str = "127.0.0.1") -> bytes:
        """The prompt that comes of it."""

        async def here(_host: str, _call: str) -> list[str]:
            return ["127.0.0.1"]

        fetcher = fetcher_of(self.cache, resolve=here, allow_loopback=True, read_s=1.0, total_s=5.0)
        source = await fetcher.fetch(f"http://{host}:{self.port}{target}", Asker("call"))
        return self.cache.path(source.prompt).read_bytes()

    def answer(self, body: bytes = WAV, *headers: str, status: str = "200 OK", length: int | None = None) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
        self.answers = [["\r\n".join(lines).encode("latin-1"), body]]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(tmp_path)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    async with listening:
        made.port = listening.sockets[0].getsockname()[1]
        yield made


@pytest.mark.parametrize("coding", ["", "identity", "binary", "none", "8bit", "UTF-8", "aws-chunked", "gzip"])
async def test_the_bytes_say_that_it_is_audio_whatever_the_coding_is_said_to_be(server: Server, coding: str) -> None:
    """aws/aws-sdk#498, brendanhay/amazonka#681: neither is a compression (RFC 9110, 8.4)."""
    server.answer(WAV, f"Content-Encoding: {coding}")
    assert await server.fetch() == WAV


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "br", "deflate", "zstd", "aws-chunked, gzip"])
async def test_what_is_compressed_is_said_to_be(server: Server, coding: str) -> None:
    server.answer(b"\x1f\x8b\x08\0" + bytes(range(256)) * 4, f"Content-Encoding: {coding}")
    with pytest.raises(ProviderError, match=f"compressed content \\({coding}\\), which nobody asked for"):
        await server.fetch()


@pytest.mark.parametrize("kind", ["Content-Type: text/html", "Content-Type: ", "Content-Type: nonsense", "X-No: type"])
async def test_the_content_type_means_nothing(server: Server, kind: str) -> None:
    server.answer(WAV, kind)
    assert await server.fetch() == WAV


async def test_what_is_no_audio_is_refused_without_a_type_as_well(server: Server) -> None:
    server.answer(b"<html>")
    sentence = (
        r"sent something without a type, which is no WAV or MP3 \(it looks like HTML or XML\): these two are played"
    )
    with pytest.raises(ProviderError, match=sentence):
        await server.fetch()


@pytest.mark.parametrize("sizes", [[4], [1] * 60, [12, 3], [40, 9]])
async def test_pieces_of_a_chunked_answer_mean_nothing(server: Server, sizes: list[int]) -> None:
    """sindresorhus/file-type#20: the first piece has 4 bytes."""
    pieces, at = [], 0
    for size in [*sizes, len(WAV)]:
        piece = WAV[at : at + size]
        pieces.append(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        at += size
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.answers = [[head, *pieces, b"0\r\n\r\n"]]
    assert await server.fetch() == WAV


async def test_a_part_that_nobody_asked_for_is_taken_when_it_is_all(server: Server) -> None:
    server.answer(WAV, f"Content-Range: bytes 0-{len(WAV) - 1}/{len(WAV)}", status="206 Partial Content")
    assert await server.fetch() == WAV
    for part in (f"bytes 0-{len(WAV) - 1}/{len(WAV) + 1}", f"bytes 1-{len(WAV)}/{len(WAV) + 1}", "bytes */9", ""):
        server.answer(WAV, f"Content-Range: {part}", status="206 Partial Content")
        with pytest.raises(ProviderError, match="answered 206, not 200"):
            await server.fetch()


async def test_an_answer_that_is_shorter_or_longer_than_it_says_is_refused(server: Server) -> None:
    server.answer(WAV, length=len(WAV) + 1)
    with pytest.raises(ProviderError, match="ended the answer early"):
        await server.fetch()
    server.answers = [[server.answers[0][0].replace(b"1645", b"1644") + WAV + b"more"]]
    with pytest.raises(ProviderError, match="breaks the rules of HTTP"):
        await server.fetch()


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("/q.wav?X-Credential=K%2F20261130%2Fs3&sig=a%3Db%2B", "/q.wav?X-Credential=K%2F20261130%2Fs3&sig=a%3Db%2B"),
        ("/a+b%20c%2Bd.wav?e+f", "/a+b%20c%2Bd.wav?e+f"),
        ("/%7euser/%7Euser/~user", "/%7euser/%7Euser/~user"),
        ("/caf%C3%A9.wav", "/caf%C3%A9.wav"),
        ("/caf%c3%a9.wav", "/caf%c3%a9.wav"),
        ("/café.wav?é=é", "/caf%C3%A9.wav?%C3%A9=%C3%A9"),
        ("/caf%E9.wav", "/caf%E9.wav"),
        ("/100%.wav?50%", "/100%.wav?50%"),
        ("/a/../b/./c//d;p=1", "/a/../b/./c//d;p=1"),
        ("?a=1&a=2&b", "/?a=1&a=2&b"),
        ("", "/"),
        ("/a.wav?sig=x%2Fy#part", "/a.wav?sig=x%2Fy"),
        ("/a:b@c,d!e$f'(g)*[h]", "/a:b@c,d!e$f'(g)*[h]"),
        # An empty query is one: another resource, and another signature (RFC 3986, 6.2.3).
        ("/x?", "/x?"),
        ("?", "/?"),
        ("/x?#part", "/x?"),
        ("/x??", "/x??"),
        ("/a%3F?", "/a%3F?"),
        # What browsers escape for their users, and nothing else can be meant by.
        ("/a|b.wav?c|d", "/a%7Cb.wav?c%7Cd"),
        ("/{a}^`b.wav?{c}^`d", "/%7Ba%7D%5E%60b.wav?%7Bc%7D%5E%60d"),
        ('/"a"<b>.wav?"c"<d>', "/%22a%22%3Cb%3E.wav?%22c%22%3Cd%3E"),
        ("/good morning.wav?say=a b", "/good%20morning.wav?say=a%20b"),
        ("/a.wav#a part|", "/a.wav"),
        ("/a.wav ", "/a.wav"),
    ],
)
async def test_a_url_is_asked_for_as_it_was_given(server: Server, target: str, asked: str) -> None:
    """aio-libs/aiohttp#7222, #5512, jumpstarter-dev/jumpstarter#662: another escape is another URL (RFC 3986, 2.2)."""
    server.answer()
    assert await server.fetch(target) == WAV
    assert server.targets == [asked]


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("/b.wav?s=%2F%3D+", "/b.wav?s=%2F%3D+"),
        ("b.wav", "/dir/b.wav"),
        ("../b.wav", "/b.wav"),
        ("?s=a%2Fb", "/dir/a.wav?s=a%2Fb"),
        ("//127.0.0.1:PORT/%7e", "/%7e"),
        ("http://127.0.0.1:PORT/caf%C3%A9?x=%2B#f", "/caf%C3%A9?x=%2B"),
        ("/with space.wav", "/with%20space.wav"),
        ("/caf\u00c3\u00a9.wav", "/caf%C3%A9.wav"),
        ("/caf\u00e9.wav", "/caf%E9.wav"),
        ("/{a}|b^c.wav", "/%7Ba%7D%7Cb%5Ec.wav"),
        ("/b?", "/b?"),
        ("?", "/dir/a.wav?"),
        ("b.wav?#part", "/dir/b.wav?"),
        ("http://127.0.0.1:PORT?", "/?"),
    ],
)
async def test_a_redirect_is_followed_to_where_it_says(server: Server, location: str, asked: str) -> None:
    server.answer(b"", "Location: " + location.replace("PORT", str(server.port)), status="302 Found")
    redirect = server.answers[0]
    server.answer()
    server.answers.insert(0, redirect)
    assert await server.fetch("/dir/a.wav") == WAV
    assert server.targets == ["/dir/a.wav", asked]


@pytest.mark.parametrize("location", ["http://xn--a/", "http://[::1", "http://a:99999/", "\\\\evil", "mailto:a@b"])
async def test_a_redirect_to_nowhere_that_is_gets_a_sentence(server: Server, location: str) -> None:
    server.answer(b"", f"Location: {location}", status="302 Found")
    with pytest.raises((CallerError, ProviderError)):
        await server.fetch()
    assert len(server.targets) == 1


async def test_a_name_of_any_script_is_asked_for_in_ascii(server: Server) -> None:
    server.answer()
    assert await server.fetch(host="prüfung.example") == WAV
    assert parse_url("http://prüfung.example/ü").raw_host == "xn--prfung-4ya.example"


@pytest.mark.parametrize(
    "host",
    [
        "xn--a",
        "xn--",
        "xn--a.example",
        "a." + "b" * 70,
        "a..b",
        "\u2100.com",
        "%zz",
        "[v1.x]",
        "[::1",
        "\ud83d.example",
        "-",
        "ex%61mple",
    ],
)
async def test_a_host_that_is_no_name_gets_a_sentence(tmp_path: Path, host: str) -> None:
    """However a name is wrong, the program reads a sentence and no UnicodeError."""

    async def nowhere(host: str) -> list[str]:
        host.encode("idna")
        raise OSError

    fetcher = fetcher_of(PromptCache(tmp_path), resolve=Names(NameLimits(), nowhere).resolve)
    with pytest.raises((CallerError, ProviderError)) as refused:
        await fetcher.fetch(f"http://{host}/a.wav", Asker("call"))
    assert len(str(refused.value)) > 20
