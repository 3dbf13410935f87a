"""A recorded session, played at a client: a WebSocket server that says what the recorded server said.

    recording = read_recording(Path("session.jsonl"))
    async with Replay(recording) as replay:
        client = RelayClient("project", "token", replay.host, ["default"])
        ...
        await replay.finished()

The replay goes through the recording line by line. At a request of the recorded client it waits until the client that
is tested sends the same method; ids that differ (of requests, actions, tags) are put into what follows. What the
server said is sent at once; where the socket was lost, it is cut. Acks are taken in any order.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final, Literal, Self

import msgspec
from aiohttp import WSMsgType, web

from offhook.client.transport.recording import FORMAT, MASK, VERSION
from offhook.errors import OffhookError
from offhook.protocol import methods

__all__ = ["Line", "Recording", "Replay", "ReplayMismatch", "read_recording"]

_PATIENCE_S: Final = 5.0


class ReplayMismatch(OffhookError):
    """The client did otherwise than the one that was recorded."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, ``at`` seconds after the recording began."""

    at: float
    what: Literal["open", "in", "out", "lost", "closed"]
    frame: dict[str, Any] | None = None
    text: str | None = None
    reason: str = ""


class Recording(msgspec.Struct, frozen=True):
    """A session that was recorded."""

    agent: str
    lines: list[Line]

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What the client asked, in its order."""
        return [line.frame for line in self.lines if line.what == "out" and line.frame and "method" in line.frame]

    @property
    def events(self) -> list[dict[str, Any]]:
        """Envelopes of what the server told, in its order."""
        told = [line.frame for line in self.lines if line.what == "in" and line.frame]
        return [frame["params"] for frame in told if frame.get("method") == methods.EVENT]


def read_recording(path: Path) -> Recording:
    """Read a recording.

    Raises:
        OffhookError: it is no recording; says in which line.
    """
    head, *rest = path.read_text(encoding="utf-8").splitlines() or [""]
    known = _parse(head, 1)
    if known.get("format") != FORMAT or known.get("version") != VERSION:
        raise OffhookError(f"line 1: not a recording of format {FORMAT!r} version {VERSION}")
    lines = []
    for number, text in enumerate(rest, 2):
        try:
            lines.append(msgspec.convert(_parse(text, number), Line))
        except msgspec.ValidationError as error:
            raise OffhookError(f"line {number}: {error}") from error
    return Recording(str(known.get("agent", "")), lines)


def _parse(text: str, number: int) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise OffhookError(f"line {number}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise OffhookError(f"line {number}: not a JSON object")
    return value


class Replay:
    """The server. ``patience_s``: how long the client may take for what the recorded one did."""

    def __init__(self, recording: Recording, *, patience_s: float = _PATIENCE_S) -> None:
        self.host = ""
        self._recording = recording
        self._patience_s = patience_s
        self._sockets: asyncio.Queue[tuple[web.WebSocketResponse, web.Request]] = asyncio.Queue()
        self._asked: list[dict[str, Any]] = []
        self._changed = asyncio.Event()
        self._ids: dict[str, str] = {}
        self._runner: web.AppRunner | None = None
        self._playing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"Replay(lines={len(self._recording.lines)})"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.host = f"ws://127.0.0.1:{self._runner.addresses[0][1]}"
        self._playing = asyncio.create_task(self._play(), name="replay")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def finished(self) -> None:
        """Wait until all of it was played.

        Raises:
            ReplayMismatch: the client did otherwise than the one that was recorded.
        """
        assert self._playing is not None, "use it in `async with`"
        await asyncio.shield(self._playing)

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=10 << 20, compress=False)
        await socket.prepare(request)
        await self._sockets.put((socket, request))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._take(json.loads(message.data), socket)
        return socket

    async def _take(self, frame: dict[str, Any], socket: web.WebSocketResponse) -> None:
        """Keep requests; answer pings, which come when they like."""
        if frame.get("method") == methods.PING:
            await socket.send_json({"jsonrpc": "2.0", "id": frame["id"], "result": frame.get("params", {})})
        elif "method" in frame:
            self._asked.append(frame)
            self._changed.set()

    async def _play(self) -> None:
        socket: web.WebSocketResponse | None = None
        request: web.Request | None = None
        for number, line in enumerate(self._recording.lines, 2):
            try:
                async with asyncio.timeout(self._patience_s):
                    if line.what == "open":
                        socket, request = await self._sockets.get()
                    elif line.what == "out" and line.frame is not None:
                        await self._expect(line.frame)
                    elif line.what == "in" and socket is not None:
                        await self._say(line, socket)
                    elif line.what == "lost" and request is not None and request.transport is not None:
                        request.transport.abort()
            except TimeoutError as error:
                wanted = line.what if line.frame is None else line.frame.get("method", line.what)
                asked = [frame["method"] for frame in self._asked]
                text = f"line {number}: the client did not do what the recorded one did ({wanted}); it asked {asked}"
                raise ReplayMismatch(text) from error

    async def _expect(self, recorded: dict[str, Any]) -> None:
        """Wait for the same request, and learn which ids are other."""
        if "method" not in recorded or recorded["method"] == methods.PING:
            return
        while True:
            for place, frame in enumerate(self._asked):
                if frame["method"] == recorded["method"]:
                    del self._asked[place]
                    self._learn(recorded, frame)
                    return
            self._changed.clear()
            await self._changed.wait()

    def _learn(self, recorded: Any, actual: Any) -> None:
        if isinstance(recorded, dict) and isinstance(actual, dict):
            for key in recorded.keys() & actual.keys():
                self._learn(recorded[key], actual[key])
        elif isinstance(recorded, list) and isinstance(actual, list):
            for one, other in zip(recorded, actual, strict=False):
                self._learn(one, other)
        elif isinstance(recorded, str) and isinstance(actual, str) and recorded not in ("", actual, MASK):
            self._ids[recorded] = actual

    async def _say(self, line: Line, socket: web.WebSocketResponse) -> None:
        frame = line.frame
        if frame is not None and "method" not in frame and self._is_ping(frame.get("id")):
            return
        try:
            await socket.send_str(line.text or "" if frame is None else json.dumps(self._now(frame)))
        except ConnectionError as error:
            raise ReplayMismatch("the client closed its socket before the recorded one did") from error

    def _is_ping(self, frame_id: object) -> bool:
        """The reply is to a ping of the recorded client, which this one need not send."""
        return any(frame["id"] == frame_id and frame["method"] == methods.PING for frame in self._recording.requests)

    def _now(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._now(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._now(item) for item in value]
        return self._ids.get(value, value) if isinstance(value, str) else value
