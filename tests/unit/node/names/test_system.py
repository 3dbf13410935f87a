"""The real getaddrinfo."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from offhook.node.names.system import bound_the_system, look_up


async def test_the_system_is_asked_in_a_thread_of_its_own() -> None:
    found = await look_up("localhost")
    assert found
    assert set(found) <= {"127.0.0.1", "::1"}


async def test_what_is_no_name_is_told_by_the_system() -> None:
    with pytest.raises(socket.gaierror):
        await look_up("-.invalid")
    with pytest.raises((socket.gaierror, UnicodeError)):
        await look_up("a" * 70 + ".invalid")


async def test_who_does_not_wait_any_more_is_free_at_once_and_the_thread_ends_quietly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silent = threading.Event()
    asked = threading.Event()

    def getaddrinfo(*_: object, **__: object) -> list[object]:
        asked.set()
        silent.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    waiting = asyncio.create_task(look_up("silent.example"))
    assert await asyncio.to_thread(asked.wait, 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    silent.set()


def test_the_operators_options_of_the_resolver_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RES_OPTIONS", "timeout:7")
    bound_the_system()
    import os

    assert os.environ["RES_OPTIONS"] == "timeout:7"
