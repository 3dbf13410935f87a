from __future__ import annotations

import asyncio
import socket
import time

import pytest

from offhook.testing.clock import Deadlock, VirtualClockLoop


def run(coroutine, **options):
    with asyncio.Runner(loop_factory=lambda: VirtualClockLoop(**options)) as runner:
        return runner.run(coroutine)


def test_an_hour_passes_in_no_time_and_in_order():
    async def main():
        loop = asyncio.get_running_loop()
        began, seen = loop.time(), []
        loop.call_later(3600, seen.append, "hour")
        loop.call_later(60, seen.append, "minute")
        await asyncio.sleep(3601)
        return seen, loop.time() - began

    wall = time.monotonic()
    seen, passed = run(main())
    assert seen == ["minute", "hour"]
    assert passed == pytest.approx(3601)
    assert time.monotonic() - wall < 1


def test_timeouts_work_on_the_virtual_clock():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(6)
        return asyncio.get_running_loop().time()

    assert run(main(), start_s=0.0) == pytest.approx(5)


def test_work_in_a_thread_stops_the_clock_until_it_is_done():
    async def main():
        loop = asyncio.get_running_loop()
        timer = loop.create_task(asyncio.sleep(10))
        before = loop.time()
        await asyncio.to_thread(time.sleep, 0.01)
        assert loop.time() == before
        timer.cancel()

    run(main())


def test_a_ready_socket_comes_before_a_timer():
    async def main():
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            right.send(b"x")
            before = loop.time()
            async with asyncio.timeout(1):
                assert await loop.sock_recv(left, 1) == b"x"
            assert loop.time() == before

    run(main())


def test_waiting_for_what_never_comes_is_an_error_not_a_hang():
    async def main():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run(main(), patience_s=0.01)
