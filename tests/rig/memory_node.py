"""A RELAY server in memory, for clients on a virtual clock: it does only what the test tells it, when it is told."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

from offhook.client.session import outputs
from offhook.client.session.outputs import Output
from offhook.client.session.session import Session

NODE_ID = "memory"


class MemoryDriver:
    """Does the IO of a session, with a server instead of a socket."""

    def __init__(self, server: MemoryNode, session: Session, on_output: Callable[[Output], None]) -> None:
        self.session = session
        self.wants_socket = False
        self._server = server
        self._on_output = on_output
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        await self._stopped.wait()
        if self._timer is not None:
            self._timer.cancel()

    def pump(self) -> None:
        while (output := self.session.poll()) is not None:
            match output:
                case outputs.Send(text):
                    self._server.inbox.append(json.loads(text))
                case outputs.Open():
                    self.wants_socket = True
                case outputs.Drop():
                    self.wants_socket = False
                    self._server.dropped()
                case _:
                    if isinstance(output, outputs.Stopped):
                        self._stopped.set()
                    self._on_output(output)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.session.deadline
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._tick, deadline)

    def pump_soon(self) -> None:
        self.pump()

    def _tick(self, due: float) -> None:
        """A timer may fire an instant early, and a clock that jumps would stand still there."""
        self.session.tick(max(due, self._loop.time()))
        self.pump()

    def feed(self, frame: dict[str, Any]) -> None:
        self.session.received(json.dumps({"jsonrpc": "2.0", **frame}), self._loop.time())
        self.pump()


class MemoryNode:
    """``inbox`` are frames sent and not handled yet; ``told`` what was told in this session, acked or not."""

    def __init__(self) -> None:
        self.inbox: list[dict[str, Any]] = []
        self.driver: MemoryDriver | None = None
        self.protocol = ""
        self.fresh_sessions = 0
        self.done: list[str] = []
        self._numbers = itertools.count(1)
        self._unacked: dict[str, dict[str, Any]] = {}
        self._replies: dict[str, dict[str, Any]] = {}
        self._is_up = False

    def make_driver(self, session: Session, on_output: Callable[[Output], None]) -> MemoryDriver:
        self.driver = MemoryDriver(self, session, on_output)
        return self.driver

    # --- the socket -----------------------------------------------------------------------------------------

    def open(self, *, forget: bool) -> None:
        """Take the socket that is wanted, and the connect on it; ``forget``: the session is unknown."""
        driver = self.driver
        if driver is None or not driver.wants_socket:
            return
        driver.wants_socket = False
        self.inbox.clear()
        driver.session.opened(asyncio.get_running_loop().time())
        driver.pump()
        connect = self.inbox.pop()
        resumes = connect["params"].get("protocol") == self.protocol != "" and not forget
        if not resumes:
            self.fresh_sessions += 1
            self.protocol = f"memory_{self.fresh_sessions}"
            self._unacked.clear()
            self._replies.clear()
        self._is_up = True
        result = {"protocol": self.protocol, "keeps_request_ids_s": 600.0}
        driver.feed({"id": connect["id"], "result": result})
        for frame in list(self._unacked.values()):
            driver.feed(frame)

    def refuse_socket(self) -> None:
        """Nobody listens."""
        if self.driver is not None and self.driver.wants_socket:
            self.driver.wants_socket = False
            self._lose("refused")

    def cut(self) -> None:
        """The socket goes, and with it what was not handled yet."""
        if self._is_up and self.driver is not None:
            self.inbox.clear()
            self._lose("cut")

    def dropped(self) -> None:
        """The client let the socket go."""
        self._is_up = False
        self.inbox.clear()

    def _lose(self, reason: str) -> None:
        assert self.driver is not None
        self._is_up = False
        self.driver.session.lost(reason, asyncio.get_running_loop().time())
        self.driver.pump()

    # --- what it says ---------------------------------------------------------------------------------------

    def handle(self, code: int) -> None:
        """Take the next frame: reply to a request with this code, the same again when it comes again.

        A negative code is an error of the protocol: the request is refused unread.
        """
        if not self.inbox or not self._is_up or self.driver is None:
            return
        frame = self.inbox.pop(0)
        if "method" not in frame:
            self._unacked.pop(frame["id"], None)
            return
        if code < 0:
            self.driver.feed({"id": frame["id"], "error": {"code": code, "message": "refused"}})
            return
        if frame["id"] not in self._replies:
            self.done.append(frame["method"])
            self._replies[frame["id"]] = {"code": str(code), "message": "OK" if code == 200 else "refused"}
        self.driver.feed({"id": frame["id"], "result": self._replies[frame["id"]]})

    def tell(self, event_type: str, **params: Any) -> None:
        """Tell an event; one that is not acked is told again after a resume."""
        frame_id = f"e{next(self._numbers)}"
        envelope = {"event_type": event_type, "params": {"node_id": NODE_ID, **params}}
        frame = {"id": frame_id, "method": "signalwire.event", "params": envelope}
        self._unacked[frame_id] = frame
        if self._is_up and self.driver is not None:
            self.driver.feed(frame)

    def order_restart(self, *, restart: bool) -> None:
        """Ask the client to leave; it is cut soon after."""
        if self._is_up and self.driver is not None:
            self.driver.feed({"id": "leave", "method": "signalwire.disconnect", "params": {"restart": restart}})
            self.cut()
