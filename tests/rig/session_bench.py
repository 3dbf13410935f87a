"""Drives a client's session by hand, on a clock that moves when it is told to."""

from __future__ import annotations

import itertools
import json
from typing import Any

from offhook.client.session import outputs
from offhook.client.session.session import Session, SessionSettings, State
from offhook.errors import RelayError
from offhook.protocol.frames import Authentication

__all__ = ["TOKEN", "SessionBench", "event"]

TOKEN = "PTsecret"


class SessionBench:
    """Drives a session by hand: ``now`` moves only when told to."""

    def __init__(self, **changes: Any) -> None:
        self.now = 100.0
        numbers = itertools.count(1)
        chosen = {"authentication": Authentication(project="p", token=TOKEN), "agent": "test", "contexts": ("office",)}
        self.session = Session(
            SessionSettings(**{**chosen, **changes}), random=lambda: 0.5, new_id=lambda: f"id{next(numbers)}"
        )
        self.seen: list[outputs.Output] = []

    def drain(self) -> list[outputs.Output]:
        """Take what it wants done."""
        fresh = []
        while (output := self.session.poll()) is not None:
            fresh.append(output)
        self.seen += fresh
        return fresh

    def sent(self) -> list[dict[str, Any]]:
        """Take what it wants done: the frames of it."""
        return [json.loads(output.data) for output in self.drain() if isinstance(output, outputs.Send)]

    def feed(self, **frame: Any) -> None:
        """A frame comes."""
        self.session.received(json.dumps({"jsonrpc": "2.0", **frame}), self.now)

    def refuse_for_now(self, frame_id: str) -> None:
        """More than the server allows: it did nothing."""
        self.feed(id=frame_id, error={"code": -32005, "message": "slower"})

    def pass_time(self, seconds: float) -> None:
        """The clock moves."""
        self.now += seconds
        self.session.tick(self.now)

    def open(self) -> dict[str, Any]:
        """Open the socket; returns the connect request."""
        self.session.opened(self.now)
        (connect,) = self.sent()
        return connect

    def ready(self, protocol: str = "sig_a", **result: Any) -> None:
        """Open the socket and be taken."""
        self.session.connect() if self.session.state is State.IDLE else None
        connect = self.open()
        self.feed(id=connect["id"], result={"protocol": protocol, **result})
        assert self.session.state is State.READY

    def reopen(self, protocol: str = "sig_a", **result: Any) -> None:
        """Wait out the back-off and connect again."""
        self.wait_for_open()
        self.ready(protocol, **result)

    def refuse(self, code: int, message: str = "no", *, as_result: bool = False) -> dict[str, Any]:
        """Wait out the back-off, open the socket and refuse the connect: its params."""
        self.wait_for_open()
        connect = self.open()
        why = {"code": code, "message": message}
        self.feed(id=connect["id"], **({"result": {**why, "code": str(code)}} if as_result else {"error": why}))
        params: dict[str, Any] = connect["params"]
        return params

    def wait_for_open(self) -> None:
        """Wait out the back-off."""
        while self.session.state is State.WAITING:
            assert self.session.deadline is not None
            self.pass_time(self.session.deadline - self.now)
        self.drain()

    def failures(self) -> dict[str, RelayError]:
        """Requests that failed up to now."""
        self.drain()
        return {one.request_id: one.error for one in self.seen if isinstance(one, outputs.Failed)}


def event(name: str, **params: Any) -> dict[str, Any]:
    """A frame with an event."""
    return {"method": "signalwire.event", "params": {"event_type": name, "params": params}}
