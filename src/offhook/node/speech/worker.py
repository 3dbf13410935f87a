"""The synthesiser's process, started when needed, killed when it hangs, started again when it died."""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec
import structlog

from offhook.errors import ProviderError
from offhook.node.processes.lifeline import bound_to_parent
from offhook.node.speech import espeak_worker
from offhook.node.speech.espeak_worker import Done, Ready, Request

__all__ = ["SpeechWorker"]

_log = structlog.get_logger(__name__)
_START_S = 10.0
_MAX_FRAME_BYTES = 1 << 20


class SpeechWorker:
    """One child, which does one thing at a time."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._ready: Ready | None = None

    @property
    def pid(self) -> int | None:
        """The child's, while it lives."""
        return self._process.pid if self._process is not None else None

    async def ready(self) -> Ready:
        """Start the child if need be; what it has.

        Raises:
            ProviderError: it does not start.
        """
        if self._ready is None:
            async with self._turn:
                await self._start()
        if self._ready is None:
            raise ProviderError("the speech worker ended as soon as it had started")
        return self._ready

    async def speak(self, request: Request) -> int:
        """Append to ``request.path``; returns bytes appended.

        Raises:
            ProviderError: the synthesiser failed, hung or died.
        """
        async with self._turn:
            done = await self._exchange(request)
        if done.error:
            raise ProviderError(f"speech failed: {done.error}")
        return done.size_bytes

    async def close(self) -> None:
        """End the child."""
        async with self._turn:
            await self._end()

    async def _exchange(self, request: Request) -> Done:
        await self._start()
        assert self._process is not None
        answered = False
        try:
            async with asyncio.timeout(self._timeout_s):
                await _write(self._process, msgspec.msgpack.encode(request))
                done = msgspec.msgpack.decode(await _read(self._process), type=Done)
            answered = True
        except TimeoutError as error:
            raise ProviderError(f"speech took longer than {self._timeout_s:g} s (tts.timeout_s)") from error
        except (OSError, EOFError, msgspec.DecodeError) as error:
            raise ProviderError("the speech worker died; the next text starts it again") from error
        finally:
            if not answered:  # also when cancelled: an answer may still be on its way
                await self._end()
        return done

    async def _start(self) -> None:
        if self._process is not None and self._process.returncode is None:
            return
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # its directory is no place for imports
            espeak_worker.__file__,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_environment(),
            preexec_fn=bound_to_parent(),
        )
        try:
            async with asyncio.timeout(_START_S):
                self._ready = msgspec.msgpack.decode(await _read(self._process), type=Ready)
        except (TimeoutError, OSError, EOFError, msgspec.DecodeError) as error:
            await self._end()
            raise ProviderError("the speech worker does not start: pip install 'offhook[node]'") from error
        except asyncio.CancelledError:  # its greeting is still to come, and would be taken for an answer
            await self._end()
            raise
        _log.debug("speech worker started", pid=self._process.pid, version=self._ready.version)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()


def _environment() -> dict[str, str]:
    """What Python needs to find us, and no secrets."""
    kept = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
    return environment


async def _write(process: asyncio.subprocess.Process, frame: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(len(frame).to_bytes(4, "big") + frame)
    await process.stdin.drain()


async def _read(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    size = int.from_bytes(await process.stdout.readexactly(4), "big")
    if size > _MAX_FRAME_BYTES:
        raise EOFError("a frame of the worker is too long")
    return await process.stdout.readexactly(size)
