"""A generator of many calls in one thread: SIP on one socket, media on a socket a call, kernel time stamps.

It drains every media socket: one that does not flatters every server alike.
"""

from __future__ import annotations

import heapq
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from rig import rtp
from rig.dialog import sdp
from rig.sip import SipMessage, branch, build, parse, unique
from rig.stamped import receive_stamped, stamped_socket

__all__ = ["Load", "LoadedCall", "percentile"]

QUIET = bytes((0xFF, 0x7F, 0xFE, 0x7E))
GIVE_UP_S = 10.0


@dataclass
class LoadedCall:
    """What became of one call; times are seconds since the epoch, 0 for never."""

    call_id: str
    socket: socket.socket
    invited_at: float = 0.0
    answered_at: float = 0.0
    audible_at: float = 0.0
    ended_at: float = 0.0
    failure: str = ""
    received: int = 0
    lost: int = 0
    late: int = 0
    largest_gap_ms: float = 0.0
    remote: tuple[str, int] | None = None
    invite: bytes = b""
    answer: SipMessage | None = None
    hung_up: bool = False
    sequence: int = 0
    last: tuple[int, float] = (-1, 0.0)
    due: float = 0.0


@dataclass
class Load:
    """``calls`` calls at ``rate`` a second; each is held ``hold_s`` and hung up, or ends when the node says so (0).

    ``cancels``: each is given up as soon as it rings.
    """

    remote: tuple[str, int]
    rate: float
    calls: int
    hold_s: float = 0.0
    limit_s: float = 120.0
    to: str = "100"
    cancels: bool = False
    done: list[LoadedCall] = field(default_factory=list)
    live: dict[str, LoadedCall] = field(default_factory=dict)
    peak: threading.Event = field(default_factory=threading.Event)
    _timers: list[tuple[float, int, str, str]] = field(default_factory=list)
    _number: int = 0

    def run(self) -> list[LoadedCall]:
        """Place all calls and wait for their ends; at most ``limit_s``."""
        self._sip = stamped_socket(buffer_bytes=4 << 20)
        self._port = self._sip.getsockname()[1]
        began = time.monotonic()
        for number in range(self.calls):
            self._at(began + number / self.rate, "begin", "")
        self._at(began, "tick", "")
        while len(self.done) < self.calls and time.monotonic() - began < self.limit_s:
            wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else 0.02
            if select.select([self._sip], [], [], min(wait, 0.02))[0]:
                self._receive()
            self._fire()
        for call in list(self.live.values()):
            self._end(call, call.failure or "never ended")
        self._sip.close()
        return self.done

    def _at(self, when: float, what: str, call_id: str) -> None:
        self._number += 1
        heapq.heappush(self._timers, (when, self._number, what, call_id))

    def _fire(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            when, _, what, call_id = heapq.heappop(self._timers)
            if what == "tick":
                for call in list(self.live.values()):
                    self._media(call)
                self._at(max(when + 0.02, now), "tick", "")
            elif what == "begin":
                self._begin()
            elif call_id in self.live:
                self._timer(self.live[call_id], what)

    def _timer(self, call: LoadedCall, what: str) -> None:
        if what == "again" and not call.answer:
            if time.time() - call.invited_at > GIVE_UP_S:
                self._end(call, "no answer")
            else:
                self._sip.sendto(call.invite, self.remote)
                self._at(time.monotonic() + 1.0, "again", call.call_id)
        elif what == "hang up":
            call.hung_up = True
            self._request(call, "BYE", 2)
            self._at(time.monotonic() + 2.0, "hang up", call.call_id)

    def _fields(self, call: LoadedCall, method: str, cseq: int) -> list[tuple[str, str]]:
        me = f"sip:load@127.0.0.1:{self._port}"
        to = call.answer.get("To") if call.answer else f"<sip:{self.to}@{self.remote[0]}:{self.remote[1]}>"
        via = f"SIP/2.0/UDP 127.0.0.1:{self._port};rport;branch={branch()}"
        fields = [("Via", via), ("Max-Forwards", "70"), ("From", f"<{me}>;tag={call.call_id}"), ("To", to)]
        return [*fields, ("Call-ID", call.call_id), ("CSeq", f"{cseq} {method}"), ("Contact", f"<{me}>")]

    def _request(self, call: LoadedCall, method: str, cseq: int) -> None:
        assert call.answer
        data = build(f"{method} {call.answer.contact} SIP/2.0", self._fields(call, method, cseq))
        self._sip.sendto(data, self.remote)

    def _cancel(self, call: LoadedCall) -> None:
        """As the INVITE, with its branch (RFC 3261 section 9.1)."""
        invite = parse(call.invite)
        fields = [(n, invite.get(n)) for n in ("Via", "Max-Forwards", "From", "To", "Call-ID")]
        uri = invite.start.split(" ")[1]
        self._sip.sendto(build(f"CANCEL {uri} SIP/2.0", [*fields, ("CSeq", "1 CANCEL")]), self.remote)

    def _begin(self) -> None:
        media = rtp.bound_pair()
        call = LoadedCall(unique("load"), media)
        body = sdp(media.getsockname()[1], codecs="0")
        uri = f"sip:{self.to}@{self.remote[0]}:{self.remote[1]}"
        call.invite = build(f"INVITE {uri} SIP/2.0", self._fields(call, "INVITE", 1), body)
        self.live[call.call_id] = call
        call.invited_at = time.time()
        self._sip.sendto(call.invite, self.remote)
        self._at(time.monotonic() + 0.5, "again", call.call_id)

    def _receive(self) -> None:
        while received := receive_stamped(self._sip, 8192):
            data, source, at = received
            self._message(parse(data, source, at), at)

    def _message(self, message: SipMessage, at: float) -> None:
        call = self.live.get(message.get("Call-ID"))
        if not message.status:
            fields = [(n, message.get(n)) for n in ("Via", "From", "To", "Call-ID", "CSeq")]
            self._sip.sendto(build("SIP/2.0 200 OK", fields), self.remote)
            if call and message.method == "BYE":
                self._end(call, "")
        elif call and message.method == "BYE" and message.status >= 200:
            self._end(call, "")
        elif call and self.cancels and message.method == "INVITE" and message.status == 180:
            if not call.hung_up:
                call.hung_up = True
                self._cancel(call)
        elif call and message.method == "INVITE" and message.status >= 300:
            fields = [(n, message.get(n)) for n in ("Via", "From", "To", "Call-ID")]
            self._sip.sendto(
                build(f"ACK {message.contact or 'sip:x'} SIP/2.0", [*fields, ("CSeq", "1 ACK")]), self.remote
            )
            self._end(call, message.start)
        elif call and message.method == "INVITE" and message.status >= 200:
            if not call.answer:
                call.answer, call.answered_at, call.remote = message, at, message.media
                if self.hold_s:
                    self._at(time.monotonic() + self.hold_s, "hang up", call.call_id)
                if len([c for c in self.live.values() if c.answer]) >= self.calls:
                    self.peak.set()
            self._request(call, "ACK", 1)

    def _media(self, call: LoadedCall) -> None:
        if not call.remote:
            return
        while received := receive_stamped(call.socket, 2048):
            data, _, at = received
            self._heard(call, data, at)
        call.sequence += 1
        header = struct.pack("!BBHII", 128, 0, call.sequence & 0xFFFF, call.sequence * 160, 7)
        try:
            call.socket.sendto(header + rtp.SILENCE[0], call.remote)
        except OSError:
            return  # refused: the node has closed its port

    def _heard(self, call: LoadedCall, data: bytes, at: float) -> None:
        (sequence,) = struct.unpack_from("!H", data, 2)
        if data[1] & 127 != 0:
            return
        call.received += 1
        if not call.audible_at and data[12:].strip(QUIET):
            call.audible_at = at
        before, before_at = call.last
        if before >= 0:
            steps = (sequence - before) & 0xFFFF
            call.lost += steps - 1 if 0 < steps < 1000 else 0
            call.due += 0.02 * steps
            call.largest_gap_ms = max(call.largest_gap_ms, (at - before_at) * 1000)
            call.late += at > call.due + 0.02
        else:
            call.due = at
        call.due = min(call.due, at)
        call.last = (sequence, at)

    def _end(self, call: LoadedCall, failure: str) -> None:
        call.ended_at, call.failure = time.time(), failure
        call.socket.close()
        del self.live[call.call_id]
        self.done.append(call)


def percentile(values: list[float], share: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
