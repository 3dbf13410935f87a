"""One RTP stream each way: sent on a 20 ms clock by a thread, received with the kernel's time stamps."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import os
import secrets
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rig import audio
from rig.cpu import CpuWaits
from rig.opened import remember
from rig.stamped import receive_stamped, stamped_socket

__all__ = ["FRAME_S", "Packet", "RtpPeer", "gaps_ms", "largest_stop_ms", "missing"]

FRAME_S = 0.02
EVENT_TYPE = 101
SILENCE = {0: b"\xff" * 160, 8: b"\xd5" * 160}
KEYS = "0123456789*#ABCD"


@dataclass(frozen=True)
class Packet:
    """One packet as it arrived; ``at`` is the kernel's clock (seconds since the epoch)."""

    at: float
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    source: tuple[str, int]


def parse(data: bytes, at: float, source: tuple[str, int]) -> Packet | None:
    if len(data) < 12 or data[0] >> 6 != 2:
        return None
    sequence, timestamp, ssrc = struct.unpack_from("!HII", data, 2)
    start = 12 + 4 * (data[0] & 15)
    return Packet(at, data[1] & 127, bool(data[1] & 128), sequence, timestamp, ssrc, data[start:], source)


def bound_pair() -> socket.socket:
    """A UDP socket on an even port whose odd neighbour is free (for RTCP, which nobody reads here)."""
    for _ in range(200):
        port = 30000 + 2 * secrets.randbelow(1350)
        try:
            return stamped_socket(port=port)
        except OSError:
            continue
    raise RuntimeError("no free port for RTP")


class RtpPeer:
    """Sends silence, or what was asked for, from ``start`` to ``close``; keeps every packet that comes."""

    def __init__(self) -> None:
        self.socket = bound_pair()
        self.port: int = self.socket.getsockname()[1]
        self.packets: list[Packet] = []
        self.payload_type = 0
        self.event_type = EVENT_TYPE
        """By which number keys are sent."""
        self.sent: list[tuple[float, int]] = []
        self.behind_s = 0.0
        """The latest that a packet left after its time, because the machine was slow; may be set back to 0."""
        self.impair: Callable[[int], float | None] = lambda _number: 0.0
        self.muted = False
        self.waits: CpuWaits | None = None
        """What the engine that sends to us had to wait for a CPU; see ``watch``."""
        self._remote: tuple[str, int] | None = None
        self._frames: deque[bytes] = deque()
        self._events: deque[tuple[str, int, bool]] = deque()
        self._due: list[tuple[float, int, bytes]] = []
        self._lock = threading.Lock()
        self._receiving = threading.Lock()
        self._ticks = 0
        self._began = 0.0
        self.first_sequence = self._sequence = secrets.randbelow(30000)
        self.first_timestamp = self._timestamp = secrets.randbelow(1 << 31)
        self.ssrc = secrets.randbits(32)
        self._event: tuple[str, int, bool, int, int] | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"rtp-{self.port}", daemon=True)
        self._thread.start()
        remember(self)

    def start(self, remote: tuple[str, int], payload_type: int = 0) -> None:
        """Begin (or go on) sending to this address."""
        with self._lock:
            self._remote, self.payload_type = remote, payload_type
            if not self._began:
                self._began = time.monotonic() + 0.005

    def watch(self, engine: int) -> None:
        """Notice from now on how long this engine's media threads wait for a CPU."""
        self.waits = CpuWaits(engine, "media-")

    def close(self) -> None:
        """End sending and receiving. Idempotent."""
        self._closing.set()
        self._thread.join(2)
        with self._receiving:
            self.socket.close()

    # --- sending --------------------------------------------------------------------------------------------

    def play(self, samples: NDArray[np.int16]) -> tuple[float, int]:
        """Queue samples (8 kHz); the time (epoch) and RTP timestamp at which the first of them leaves."""
        payload = audio.encode(samples, self.payload_type)
        payload += SILENCE[self.payload_type][: -len(payload) % 160]
        frames = [payload[i : i + 160] for i in range(0, len(payload), 160)]
        with self._lock:
            tick = self._ticks + len(self._frames)
            self._frames.extend(frames)
            at = self._began + tick * FRAME_S
            return time.time() + at - time.monotonic(), self._timestamp + 160 * tick

    async def has_said_all(self) -> None:
        """Wait until all that was queued has left."""
        while self._frames or self._events or self._event:
            await asyncio.sleep(FRAME_S)

    def digit(self, key: str, *, duration_ms: int = 120, marker: bool = True) -> None:
        """Queue one key as RFC 4733 events: updates each 20 ms, the end three times."""
        with self._lock:
            self._events.append((key, duration_ms // 20, marker))

    def _run(self) -> None:
        with contextlib.suppress(PermissionError):  # a line waits for no CPU; a test does, where it may not go first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -15)
        while not self._closing.is_set():
            with self._lock:
                wake = self._began + self._ticks * FRAME_S if self._began else time.monotonic() + 0.02
                if self._due:
                    wake = min(wake, self._due[0][0])
            ready, _, _ = select.select([self.socket], [], [], max(0.0, min(0.05, wake - time.monotonic())))
            if ready:
                self._receive()
            if self.waits:
                self.waits.sample()
            with self._lock:
                self._send_due(time.monotonic())

    def _send_due(self, now: float) -> None:
        while self._began and now >= self._began + self._ticks * FRAME_S:
            at = self._began + self._ticks * FRAME_S
            for data in self._next_packets():
                number = self._sequence
                self._sequence = (self._sequence + 1) & 0xFFFF
                delay = self.impair(number)
                if delay is not None and not self.muted:
                    heapq.heappush(self._due, (at + delay, number, data))
            self._ticks += 1
        while self._due and self._due[0][0] <= now:
            due, number, data = heapq.heappop(self._due)
            if self._remote:
                self.behind_s = max(self.behind_s, time.monotonic() - due)
                self.sent.append((time.time(), number))
                try:
                    self.socket.sendto(data, self._remote)
                except OSError:
                    return  # refused: the other side closed its port

    def _header(self, payload_type: int, timestamp: int, marker: bool) -> bytes:
        second = payload_type | (128 if marker else 0)
        return struct.pack("!BBHII", 128, second, self._sequence, timestamp & 0xFFFFFFFF, self.ssrc)

    def _next_packets(self) -> list[bytes]:
        now = self._timestamp + 160 * self._ticks
        if self._event is None and self._events:
            key, updates, marker = self._events.popleft()
            self._event = (key, updates, marker, now, 1)
        if self._event is None:
            payload = self._frames.popleft() if self._frames else SILENCE[self.payload_type]
            return [self._header(self.payload_type, now, self._ticks == 0) + payload]
        key, updates, marker, began, step = self._event
        end = step > updates
        body = struct.pack("!BBH", KEYS.index(key), (128 if end else 0) | 10, min(step, updates + 1) * 160)
        self._event = None if step >= updates + 3 else (key, updates, marker, began, step + 1)
        return [self._header(self.event_type, began, marker and step == 1) + body]

    # --- receiving ------------------------------------------------------------------------------------------

    def _receive(self) -> None:
        """All that has come: by our thread, and by who looks before that thread had a CPU."""
        with self._receiving:
            while self.socket.fileno() >= 0 and (received := receive_stamped(self.socket, 2048)):
                data, source, at = received
                packet = parse(data, at, source)
                if packet:
                    self.packets.append(packet)

    def mark(self) -> int:
        """A position in what has come until now, to look only at what comes after it."""
        self._receive()
        return len(self.packets)

    async def hears(self, packets: int, since: int = 0, *, louder_than: float = -1.0, within_s: float = 30.0) -> None:
        """Wait until so many audio packets of such a level (RMS) have come since a mark."""
        until = time.monotonic() + within_s
        while (came := sum(rms > louder_than for _, rms in self.loudness(since))) < packets:
            assert time.monotonic() < until, f"{came} of {packets} packets within {within_s} s"
            await asyncio.sleep(FRAME_S)

    def heard(self, since: int = 0) -> list[Packet]:
        """Audio packets (no telephone-events) since a mark."""
        self._receive()
        return [p for p in self.packets[since:] if p.payload_type in SILENCE]

    def largest_stop_ms(self, since: int = 0) -> float:
        """The longest time without audio since a mark that was not the machine's."""
        assert self.waits, "watch an engine first"
        return largest_stop_ms(self.heard(since), self.waits)

    def broken(self, since: int = 0) -> list[str]:
        """What breaks the stream since a mark, but for what the machine did. Empty when it is whole."""
        return missing(self.heard(since), self.waits)

    def left_out_s(self, since: int = 0) -> float:
        """How much of its time line the engine left out: the machine kept it waiting (``broken`` judges whether)."""
        heard = self.heard(since)
        return (((heard[-1].timestamp - heard[0].timestamp) & 0xFFFFFFFF) / 160 - len(heard) + 1) * FRAME_S

    def samples(self, since: int = 0) -> NDArray[np.int16]:
        """What was heard since a mark, by RTP time: decoded by ffmpeg, a lost packet is silence."""
        return audio.assemble([(p.timestamp, p.payload) for p in self.heard(since)], self.payload_type)

    def joined(self, since: int = 0) -> NDArray[np.int16]:
        """What came since a mark, packet behind packet: without the holes of lost ones."""
        packets = self.heard(since)
        return audio.decode(b"".join(p.payload for p in packets), packets[0].payload_type)

    def loudness(self, since: int = 0) -> list[tuple[float, float]]:
        """(arrival, RMS) of each packet since a mark."""
        packets = self.heard(since)
        if not packets:
            return []
        decoded = audio.decode(b"".join(p.payload.ljust(160, b"\xff")[:160] for p in packets), packets[0].payload_type)
        rms = np.sqrt(np.mean(decoded.reshape(-1, 160).astype(float) ** 2, axis=1))
        return [(p.at, float(r)) for p, r in zip(packets, rms, strict=True)]

    def digits(self, since: int = 0) -> str:
        """Keys received as telephone-events, one per timestamp."""
        self._receive()
        events = {p.timestamp: p.payload[0] for p in self.packets[since:] if p.payload_type == EVENT_TYPE}
        return "".join(KEYS[e] for e in events.values())


def gaps_ms(packets: list[Packet]) -> list[float]:
    """Time between neighbours by arrival, in milliseconds."""
    return [(b.at - a.at) * 1000 for a, b in pairwise(packets)]


def largest_stop_ms(packets: list[Packet], waits: CpuWaits) -> float:
    """The longest time between neighbours, each without what the engine waited for a CPU then.

    That tells a busy machine from an engine that stops: a thread that sleeps, or waits for another, waits for no CPU.
    """
    spans = [(a.at, b.at) for a, b in pairwise(packets)]
    assert spans, "no audio at all"
    longest = sorted(spans, key=lambda span: span[0] - span[1])[:20]
    return max(0.0, *(end - begin - waits.between(begin, end) for begin, end in longest)) * 1000


SKIPPED_S = 0.12
"""An engine that comes so late leaves out what should have been sent meanwhile (six packets)."""


def missing(packets: list[Packet], waits: CpuWaits | None = None) -> list[str]:
    """What breaks a stream: a jump of sequence or timestamp, or another SSRC. Empty when it is whole.

    A timestamp that is as far on as the time is right where the machine kept the engine waiting for a CPU meanwhile.
    """
    problems = []
    for a, b in pairwise(packets):
        if b.ssrc != a.ssrc:
            problems.append(f"SSRC {a.ssrc:x} -> {b.ssrc:x}")
        if (b.sequence - a.sequence) & 0xFFFF != 1:
            problems.append(f"sequence {a.sequence} -> {b.sequence}")
        is_next = (b.timestamp - a.timestamp) & 0xFFFFFFFF == 160 or EVENT_TYPE in (a.payload_type, b.payload_type)
        if not is_next and (waits is None or not is_skipped(a, b, waits)):
            problems.append(f"timestamp {a.timestamp} -> {b.timestamp}")
    return problems


def is_skipped(a: Packet, b: Packet, waits: CpuWaits) -> bool:
    """Whether the machine kept the engine waiting between two packets, and it went on at the right time."""
    ahead = (b.timestamp - a.timestamp) & 0xFFFFFFFF
    passed_s = b.at - a.at
    is_in_time = ahead % 160 == 0 and abs(ahead / 8000 - passed_s) < 0.1
    return is_in_time and passed_s > SKIPPED_S - 0.02 and waits.between(a.at, b.at) > passed_s / 2
