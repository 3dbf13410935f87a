"""A SIP endpoint under full control of a test: exact messages, exact delays, every message kept with its time."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rig.opened import remember
from rig.stamped import receive_stamped, stamped_socket

__all__ = ["SipEndpoint", "SipMessage", "Timeout", "assert_helpful", "parse", "sentence"]

T1_S, T2_S = 0.5, 4.0
"""RFC 3261, 17.1.1.1: an estimate of the round trip, and the longest between two sendings but of an INVITE."""

WITHIN_S = 30.0
"""What is waited for comes at once where the machine has nothing else to do; nothing is judged by this."""

_numbers = itertools.count(1)


class Timeout(AssertionError):
    """What was expected did not come in time; the message lists what came."""


@dataclass
class SipMessage:
    """One message as it came: start line, headers in order, body."""

    start: str
    fields: list[tuple[str, str]]
    body: str
    at: float = 0.0
    source: tuple[str, int] = ("", 0)
    seen: bool = False

    @property
    def status(self) -> int:
        """The code of a response; 0 for a request."""
        return int(self.start.split(" ")[1]) if self.start.startswith("SIP/2.0") else 0

    @property
    def reason(self) -> str:
        return self.start.split(" ", 2)[2] if self.status else ""

    @property
    def method(self) -> str:
        """Of a request, or of the request that is answered: empty where that has no CSeq which could be copied."""
        if not self.status:
            return self.start.split(" ")[0]
        found = re.fullmatch(r"\d+\s+(\S+)", self.get("CSeq"))
        return found.group(1) if found else ""

    @property
    def uri(self) -> str:
        return self.start.split(" ")[1]

    @property
    def cseq(self) -> int:
        return int(self.get("CSeq").split()[0])

    def get(self, name: str) -> str:
        """First value of a header (full name), or empty."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        return [v for n, v in self.fields if n.lower() == name.lower()]

    @property
    def to_tag(self) -> str:
        found = re.search(r";tag=([^;>\s]+)", self.get("To"))
        return found.group(1) if found else ""

    @property
    def contact(self) -> str:
        found = re.search(r"<([^>]+)>", self.get("Contact"))
        return found.group(1) if found else self.get("Contact")

    @property
    def media(self) -> tuple[str, int]:
        """Address and port of the first audio of an SDP body."""
        address = re.search(r"^c=IN IP4 (\S+)", self.body, re.M)
        port = re.search(r"^m=audio (\d+)", self.body, re.M)
        assert address, f"no address in this body:\n{self.body}"
        assert port, f"no audio in this body:\n{self.body}"
        return address.group(1), int(port.group(1))

    def sdp(self, pattern: str) -> list[str]:
        return re.findall(pattern, self.body, re.M)


def sentence(response: SipMessage) -> str:
    """The longest of reason phrase, Warning and Reason texts: what a person reads."""
    texts = [response.reason]
    for name in ("Warning", "Reason"):
        texts += [v.partition('"')[2].rpartition('"')[0] for v in response.all(name)]
    return max(texts, key=len)


def assert_helpful(response: SipMessage, status: int) -> None:
    """It has this status, and a sentence that says why."""
    assert response.status == status, f"{response.start} {response.fields}"
    assert len(sentence(response).split()) >= 4, f"no sentence: {response.start} {response.fields}"


_COMPACT = {
    "v": "Via",
    "f": "From",
    "t": "To",
    "i": "Call-ID",
    "m": "Contact",
    "l": "Content-Length",
    "c": "Content-Type",
}


def parse(data: bytes, source: tuple[str, int] = ("", 0), at: float | None = None) -> SipMessage:
    """A whole message, leniently; ``at`` is now, unless something knows better."""
    head, _, body = data.decode(errors="replace").partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    fields = [(_COMPACT.get(n.strip().lower(), n.strip()), v.strip()) for n, _, v in (x.partition(":") for x in lines)]
    return SipMessage(start, fields, body, time.time() if at is None else at, source)


def build(start: str, fields: list[tuple[str, str]], body: str = "", content_type: str = "application/sdp") -> bytes:
    lines = [start, *(f"{n}: {v}" for n, v in fields)]
    if body:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, f"Content-Length: {len(body.encode())}", "", body]).encode()


@dataclass
class SipEndpoint:
    """One UDP socket or one TCP connection that speaks SIP; answers nothing that a test did not answer before.

    Over UDP the time of a message is the kernel's, however late this process read it.
    """

    transport_name: str = "udp"
    host: str = "127.0.0.1"
    port: int = 0
    inbox: list[SipMessage] = field(default_factory=list)
    closed: bool = False
    arrives: Callable[[SipMessage], None] = lambda _message: None
    """Is shown each message as it comes."""
    _answers: dict[tuple[str, str], tuple[bytes, tuple[str, int]]] = field(default_factory=dict)
    _timers: list[asyncio.TimerHandle] = field(default_factory=list)
    _udp: socket.socket | None = None
    _writer: asyncio.StreamWriter | None = None
    _reading: asyncio.Task[None] | None = None
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def udp(cls, port: int = 0, host: str = "127.0.0.1") -> SipEndpoint:
        endpoint = remember(cls(host=host))
        endpoint._udp = stamped_socket(host, port)
        endpoint.port = endpoint._udp.getsockname()[1]
        asyncio.get_running_loop().add_reader(endpoint._udp, endpoint._read_datagrams)
        return endpoint

    @classmethod
    async def tcp(cls, remote: tuple[str, int]) -> SipEndpoint:
        reader, writer = await asyncio.open_connection(*remote)
        endpoint = remember(cls("tcp"))
        endpoint.adopt(reader, writer)
        return endpoint

    def adopt(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak on a TCP connection that exists."""
        self._writer = writer
        self.port = writer.get_extra_info("sockname")[1]
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head)
                self._keep(head + await reader.readexactly(int(length.group(1)) if length else 0), ("", 0))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed = True
            self._arrived.set()

    def _read_datagrams(self) -> None:
        assert self._udp
        while received := receive_stamped(self._udp, 65536):
            self._keep(*received)

    def _keep(self, data: bytes, source: tuple[str, int], at: float | None = None) -> None:
        if data.strip():
            message = parse(data.lstrip(b"\r\n"), source, at)
            self.inbox.append(message)
            self._arrived.set()
            if answer := self._answers.get((message.get("Via"), message.start)):  # RFC 3261, 17.2.2: ours was lost
                self.send(*answer)
            self.arrives(message)

    def close(self) -> None:
        """Idempotent."""
        for timer in self._timers:
            timer.cancel()
        if self._udp and self._udp.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._udp)
            self._udp.close()
        if self._reading:
            self._reading.cancel()
        if self._writer:
            self._writer.close()

    def send(self, data: bytes, remote: tuple[str, int] = ("", 0)) -> None:
        if self._udp:
            self._udp.sendto(data, remote)
        elif self._writer:
            self._writer.write(data)

    def send_until(
        self, came: Callable[[SipMessage], bool], data: bytes, remote: tuple[str, int], longest_s: float = T2_S
    ) -> None:
        """Send, and over UDP again after T1, twice that and so on, until such a message came (RFC 3261, 17.1)."""
        self.send(data, remote)
        if self._udp:
            began = asyncio.get_running_loop().time()
            self._send_later(began + 64 * T1_S, T1_S, came, data, remote, longest_s)

    def _send_later(
        self,
        until: float,
        after_s: float,
        came: Callable[[SipMessage], bool],
        data: bytes,
        remote: tuple[str, int],
        longest_s: float,
    ) -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            if loop.time() < until and not any(map(came, self.inbox)):
                self.send(data, remote)
                self._send_later(until, min(2 * after_s, longest_s), came, data, remote, longest_s)

        self._timers.append(loop.call_later(after_s, again))

    async def expect(
        self, wanted: Callable[[SipMessage], bool], within_s: float = WITHIN_S, what: str = ""
    ) -> SipMessage:
        """The first message not yet handed out that is ``wanted``; others stay.

        Raises:
            Timeout: with the start lines of all that came.
        """
        until = time.monotonic() + within_s
        while True:
            self._arrived.clear()
            for message in self.inbox:
                if not message.seen and wanted(message):
                    message.seen = True
                    return message
            remaining = until - time.monotonic()
            if remaining <= 0:
                came = "\n".join(f"{m.at:.3f} {m.start} / {m.get('CSeq')}" for m in self.inbox) or "nothing"
                raise Timeout(f"no {what or 'such message'} within {within_s} s; came:\n{came}")
            try:
                await asyncio.wait_for(self._arrived.wait(), remaining)
            except TimeoutError:
                continue

    async def request(self, method: str, within_s: float = WITHIN_S) -> SipMessage:
        return await self.expect(lambda m: not m.status and m.method == method, within_s, f"{method} request")

    def count(self, wanted: Callable[[SipMessage], bool]) -> int:
        return sum(1 for m in self.inbox if wanted(m))

    def via(self, branch_id: str = "") -> str:
        return f"SIP/2.0/{self.transport_name.upper()} {self.host}:{self.port};rport;branch={branch_id or branch()}"

    @property
    def uri(self) -> str:
        suffix = ";transport=tcp" if self.transport_name == "tcp" else ""
        return f"sip:probe@{self.host}:{self.port}{suffix}"

    def respond(
        self,
        request: SipMessage,
        status: int,
        reason: str,
        *,
        tag: str = "",
        body: str = "",
        content_type: str = "application/sdp",
        contact: str = "",
        more: list[tuple[str, str]] | None = None,
    ) -> None:
        """Answer a request: Via, Record-Route, From, To, Call-ID and CSeq copied."""
        to = request.get("To") if request.to_tag or not tag else f"{request.get('To')};tag={tag}"
        fields = [("Via", v) for v in request.all("Via")] + [("Record-Route", v) for v in request.all("Record-Route")]
        fields += [
            ("From", request.get("From")),
            ("To", to),
            ("Call-ID", request.get("Call-ID")),
            ("CSeq", request.get("CSeq")),
        ]
        if status > 100:
            fields.append(("Contact", f"<{contact or self.uri}>"))
        data = build(f"SIP/2.0 {status} {reason}", fields + (more or []), body, content_type)
        if self._udp:
            self._answers[request.get("Via"), request.start] = data, request.source
        self.send(data, request.source)


def branch() -> str:
    return f"z9hG4bK-{secrets.token_hex(8)}"


def unique(prefix: str) -> str:
    return f"{prefix}-{next(_numbers)}-{secrets.token_hex(4)}"
