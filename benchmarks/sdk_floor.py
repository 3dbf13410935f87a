"""The same calls without an SDK: what the loop, TLS, WebSocket and JSON cost alone, a read and a write a frame.

No tasks, no futures, no events, no checks: a table of what to say next, on picows and msgspec.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import time
import uuid
from typing import Any

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.sdk_app import say, say_memory

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Floor(WSListener):
    """Answers, plays and hangs up so many calls, then lets the others ring."""

    def __init__(self, calls: int, turn: int, idle: int) -> None:
        loop = asyncio.get_running_loop()
        self.connected, self.served, self.kept = (loop.create_future() for _ in range(3))
        self._calls, self._turn, self._last = calls, turn, calls + idle
        self._offered = self._ended = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        authentication = {"project": "project", "token": "token"}
        version = {"major": 2, "minor": 0, "revision": 0}
        self._ask("signalwire.connect", {"version": version, "authentication": authentication, "contexts": ["default"]})

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        message = _decode(frame.get_payload_as_bytes())
        if message.get("method") == "signalwire.event":
            self._send({"jsonrpc": "2.0", "id": message["id"], "result": {}})
            self._event(message["params"]["event_type"], message["params"]["params"])
        elif not self.connected.done():
            self.connected.set_result(None)

    def _event(self, event_type: str, params: dict[str, Any]) -> None:
        if event_type == "calling.call.receive":
            self._offered += 1
            if self._offered <= self._calls:
                self._ask("calling.answer", _address(params))
            elif self._offered == self._last:
                self.kept.set_result(None)
        elif event_type == "calling.call.state" and params["call_state"] == "answered":
            media = [{"type": "silence", "params": {"duration": 1}}]
            self._ask("calling.play", {**_address(params), "control_id": str(uuid.uuid4()), "play": media})
        elif event_type == "calling.call.play" and params["state"] == "finished":
            self._ask("calling.end", {**_address(params), "reason": "hangup"})
        elif event_type == "calling.call.state" and params["call_state"] == "ended":
            self._ended += 1
            if self._ended % self._turn == 0:
                say(cpu_s=time.process_time())
            if self._ended == self._calls:
                self.served.set_result(None)

    def _ask(self, method: str, params: dict[str, Any]) -> None:
        self._send({"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": method, "params": params})

    def _send(self, frame: dict[str, Any]) -> None:
        self._transport.send(WSMsgType.TEXT, _encode(frame))


def _address(params: dict[str, Any]) -> dict[str, str]:
    return {"node_id": params["node_id"], "call_id": params["call_id"]}


async def main() -> None:
    calls, turn, idle = (int(number) for number in sys.argv[2:])
    tls = ssl.create_default_context(cafile=os.environ["SIGNALWIRE_RELAY_CA_FILE"])
    _, floor = await ws_connect(lambda: Floor(calls, turn, idle), f"wss://{os.environ['NODE_HOST']}", ssl_context=tls)
    assert isinstance(floor, Floor)
    await floor.connected
    say(start_ms=time.process_time() * 1000)
    if idle:
        await say_memory(floor.served, floor.kept, idle)
    await floor.served


if __name__ == "__main__":
    asyncio.run(main())
