"""One trunk (one address and port) carries all calls; a flood beside it costs the flood alone."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path

import pytest

from rig.dialog import sdp
from rig.load import Load, LoadedCall, percentile
from rig.node import ROOT, NodeProcess, running_node
from rig.sip import branch, build, unique

pytestmark = [pytest.mark.peers, pytest.mark.judges_time]


def answered_ms(calls: list[LoadedCall]) -> list[float]:
    return [(c.answered_at - c.invited_at) * 1000 for c in calls]


def too_many(node: NodeProcess, calls: list[LoadedCall]) -> int:
    """How many were refused because the node fell behind, as its log says; where it did not, none may be."""
    refused = [c.failure for c in calls if c.failure]
    if "the node falls behind" not in node.log():
        assert refused == []
    assert [why for why in refused if "Too many calls at once; try again" not in why] == []
    return len(refused)


async def test_one_trunk_brings_many_calls_a_second(tmp_path: Path) -> None:
    """A source has 50 a second whatever the node has to do, and as many as it brings where the node keeps up."""
    with running_node(tmp_path, app=ROOT / "examples" / "greeter.py") as node:
        for rate, seconds in ((50, 5), (100, 2)):
            done = await asyncio.to_thread(Load(node.sip(), rate, rate * seconds, limit_s=60).run)
            took = answered_ms(done)
            p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
            refused = too_many(node, done)
            print(f"{rate} calls/s: INVITE to 200 p50 {p50:.1f} ms, p99 {p99:.1f} ms, {refused} refused")
            assert len(done) == rate * seconds
            assert len(done) - refused >= 50 * seconds


class Flood:
    """INVITEs of one source, far more than a node can answer, until it is stopped; counts what came back."""

    def __init__(self, remote: tuple[str, int], rate: int, body: str) -> None:
        self.remote, self.rate, self.body = remote, rate, body
        self.sent = 0
        self.answers: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Flood:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sip:
            sip.bind(("127.0.0.1", 0))
            sip.setblocking(False)
            began = time.monotonic()
            while not self._stop.is_set() and time.monotonic() - began < 30:
                if self.sent > self.rate * (time.monotonic() - began):
                    time.sleep(0.002)
                    continue
                sip.sendto(self._invite(sip.getsockname()[1]), self.remote)
                self.sent += 1
                self._count(sip)

    def _invite(self, port: int) -> bytes:
        me, call = f"sip:flood@127.0.0.1:{port}", unique("flood")
        fields = [("Via", f"SIP/2.0/UDP 127.0.0.1:{port};rport;branch={branch()}"), ("Max-Forwards", "70")]
        fields += [("From", f"<{me}>;tag={call}"), ("To", "<sip:100@127.0.0.1>"), ("Call-ID", call)]
        fields += [("CSeq", "1 INVITE"), ("Contact", f"<{me}>")]
        return build("INVITE sip:100@127.0.0.1 SIP/2.0", fields, self.body)

    def _count(self, sip: socket.socket) -> None:
        try:
            while data := sip.recv(8192):
                line = data.split(b"\r\n", 1)[0].decode()
                self.answers[line] = self.answers.get(line, 0) + 1
        except BlockingIOError:
            return


@pytest.mark.parametrize("body", [sdp(4000, codecs="0"), ""], ids=["offer", "no offer"])
async def test_a_flood_of_calls_beside_a_trunk_costs_the_flood_alone(tmp_path: Path, body: str) -> None:
    """Field note livekit/sip#227: a limiter that takes callers for a flood is worse than none; ours says 503."""
    with running_node(tmp_path, app=ROOT / "examples" / "greeter.py") as node:
        alone = await asyncio.to_thread(Load(node.sip(), 50.0, 100, limit_s=60).run)
        with Flood(node.sip(), rate=2_000, body=body) as flood:
            await asyncio.sleep(1.0)
            done = await asyncio.to_thread(Load(node.sip(), 10.0, 30, limit_s=60).run)
        after = await asyncio.to_thread(Load(node.sip(), 10.0, 5, limit_s=30).run)
    took, took_alone = answered_ms([c for c in done if c.answered_at]), answered_ms(alone)
    print(f"flood of {flood.sent}: {sorted(flood.answers.items(), key=lambda a: -a[1])[:6]}")
    print(f"beside it: INVITE to 200 p50 {percentile(took, 0.5):.1f} ms, p99 {percentile(took, 0.99):.1f} ms")
    print(f"without it, 50 calls/s: p50 {percentile(took_alone, 0.5):.1f} ms")
    assert [c.failure for c in alone + done + after if c.failure] == []
    assert any(line.startswith("SIP/2.0 503 ") and "try again" in line for line in flood.answers)
    # The node has 50 calls a second of the flood to answer too, on the machine as it is.
    assert percentile(took, 0.5) < 1000 + 5 * percentile(took_alone, 0.5)
