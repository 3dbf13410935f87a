"""The engine as a process of its own, without a node."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from offhook.node.engine import reports
from offhook.node.engine.launch import EngineOptions, LaunchedEngine, find_engine, launch_engine
from offhook.node.engine.process import EngineProcess

__all__ = ["Controller", "Engine", "RawControl", "running_engine"]

Kind = TypeVar("Kind", bound=reports.AnyReport)


class Controller:
    """A node's end of the control socket that remembers all reports."""

    def __init__(self, port: EngineProcess) -> None:
        self.port = port
        self.reports: list[reports.AnyReport] = []
        self.lost: list[Exception] = []
        self._news = asyncio.Event()

    async def start(self, **options: int) -> reports.Welcome:
        return await self.port.start(self._sink, on_lost=self._on_lost, **options)

    def _sink(self, report: reports.AnyReport) -> None:
        self.reports.append(report)
        self._news.set()

    def _on_lost(self, error: Exception) -> None:
        self.lost.append(error)
        self._news.set()

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [report for report in self.reports if isinstance(report, kind)]

    async def sees(
        self, kind: type[Kind], where: Callable[[Kind], bool] = lambda _: True, *, within_s: float = 30.0
    ) -> Kind:
        """The first report of this type, seen already or to come."""
        async with asyncio.timeout(within_s):
            while True:
                for report in self.reports:
                    if isinstance(report, kind) and where(report):
                        return report
                self._news.clear()
                await self._news.wait()

    async def is_lost(self, within_s: float = 30.0) -> Exception:
        async with asyncio.timeout(within_s):
            while not self.lost:
                self._news.clear()
                await self._news.wait()
        return self.lost[0]


class Engine:
    """A running engine and its directories."""

    def __init__(self, options: EngineOptions, secret: bytes, launched: LaunchedEngine) -> None:
        self.options = options
        self.secret = secret
        self.launched = launched
        self._controllers: list[Controller] = []

    def controller(self, epoch: int = 0, secret: bytes | None = None) -> Controller:
        port = EngineProcess(
            self.options.socket,
            secret or self.secret,
            prompts=self.options.prompts,
            recordings=self.options.recordings,
            epoch=epoch,
            traces=True,
        )
        controller = Controller(port)
        self._controllers.append(controller)
        return controller

    async def connected(self) -> tuple[Controller, reports.Welcome]:
        controller = self.controller()
        return controller, await controller.start()

    async def close(self) -> int:
        for controller in self._controllers:
            await controller.port.close()
        return await self.launched.end()


class RawControl:
    """A connection to the control socket that can say anything."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, engine: Engine) -> RawControl:
        return cls(*await asyncio.open_unix_connection(str(engine.options.socket)))

    def say(self, message: object) -> None:
        body = message if isinstance(message, bytes) else msgspec.msgpack.encode(message)
        self.writer.write(struct.pack(">I", len(body)) + body)

    async def hears(self) -> Any:
        """The next frame, or None when the engine closed the connection."""
        try:
            async with asyncio.timeout(30):
                (length,) = struct.unpack(">I", await self.reader.readexactly(4))
                return msgspec.msgpack.decode(await self.reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def running_engine(**options: Any) -> AsyncIterator[Engine]:
    """An engine with a socket in a directory of its own (its path must be short)."""
    with tempfile.TemporaryDirectory(prefix="oh-") as directory:
        home = Path(directory)
        for name in ("prompts", "recordings"):
            (home / name).mkdir(mode=0o700)
        chosen = EngineOptions(
            socket=home / "control", prompts=home / "prompts", recordings=home / "recordings", **options
        )
        secret = secrets.token_bytes(32)
        launched = await launch_engine(find_engine(), chosen, secret)
        engine = Engine(chosen, secret, launched)
        try:
            yield engine
        finally:
            await engine.close()
