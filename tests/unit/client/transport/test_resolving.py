"""Names are looked up in one thread at a time, which nobody has to wait for."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from offhook.client.transport.resolving import Resolver


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    for thread in lookups():
        thread.join(5)


def lookups() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "offhook: name lookup"]


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The name server says nothing until this is set."""
    speaks = threading.Event()
    ask = socket.getaddrinfo

    def look_up(host: str, *args: object, **options: int) -> object:
        if host == "silent.example" and not options.get("flags"):
            assert speaks.wait(10)
            host = "127.0.0.1"
        return ask(host, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return speaks


async def test_tries_while_the_name_server_is_silent_share_one_thread(silence: threading.Event) -> None:
    resolver = Resolver()
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(resolver.look_up("silent.example", 443), 0.01)
        assert len(lookups()) == 1
        assert lookups()[0].daemon
    waiting = asyncio.create_task(resolver.look_up("silent.example", 443))
    silence.set()
    [(*_, address)] = await asyncio.wait_for(waiting, 30)
    assert address == ("127.0.0.1", 443)
    assert await resolver.look_up("silent.example", 443), "it asks anew the next time"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_address_needs_no_thread(host: str) -> None:
    [(*_, address)] = await Resolver().look_up(host, 7443)
    assert address[:2] == (host, 7443)
    assert lookups() == []


async def test_a_name_that_no_host_can_have_is_an_os_error_like_others() -> None:
    with pytest.raises(OSError, match="no host name"):
        await asyncio.wait_for(Resolver().look_up("a" * 64 + ".example", 443), 30)


async def test_what_the_name_server_says_is_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(OSError, match="Name or service not known"):
        await asyncio.wait_for(Resolver().look_up("nobody.example", 443), 30)


async def test_a_machine_without_a_thread_to_spare_is_an_os_error_and_the_next_try_begins_anew(
    monkeypatch: pytest.MonkeyPatch, silence: threading.Event
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    resolver = Resolver()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OSError, match="thread"):
            await resolver.look_up("silent.example", 443)
    silence.set()
    async with asyncio.timeout(30):
        assert await resolver.look_up("silent.example", 443)
