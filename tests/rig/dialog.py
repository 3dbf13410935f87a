"""One call of the probe, as caller: requests in order, each by hand, and the media that goes with it.

What UDP lost is sent again, as by every phone; a test that counts requests turns that off (``repeats``).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from rig.rtp import RtpPeer
from rig.sip import T1_S, T2_S, WITHIN_S, SipEndpoint, SipMessage, branch, build, unique

__all__ = ["Caller", "sdp"]


def sdp(
    port: int,
    *,
    host: str = "127.0.0.1",
    codecs: str = "0 8",
    events: bool = True,
    direction: str = "sendrecv",
    version: int = 1,
    extra: str = "",
) -> str:
    """An audio description: G.711, telephone-event 101, 20 ms."""
    names = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000", "18": "G729/8000"}
    lines = ["v=0", f"o=- 1000 {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    lines.append(f"m=audio {port} RTP/AVP {codecs}{' 101' if events else ''}")
    lines += [f"a=rtpmap:{c} {names[c]}" for c in codecs.split()]
    lines += ["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15"] if events else []
    return "\r\n".join([*lines, "a=ptime:20", f"a={direction}", *([extra] if extra else []), ""])


@dataclass
class Caller:
    """A UAC with one dialog. ``rtp`` is its media; nothing is sent that a test did not ask for, but this again."""

    sip: SipEndpoint
    remote: tuple[str, int]
    rtp: RtpPeer
    to: str = "100"
    call_id: str = field(default_factory=lambda: unique("probe"))
    from_tag: str = field(default_factory=lambda: unique("tag"))
    cseq: int = 0
    invite_branch: str = ""
    invite_fields: list[tuple[str, str]] = field(default_factory=list)
    answer: SipMessage | None = None
    sdp_version: int = 1
    repeats: bool = True
    """Whether a request goes again until it is answered, and an ACK for each 2xx that comes again (RFC 3261, 17.1)."""
    _asked: dict[str, int] = field(default_factory=dict)
    """The CSeq of the last request of each method."""
    _acks: dict[tuple[int, str], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sip.arrives = self._acknowledge_again

    @classmethod
    async def open(cls, remote: tuple[str, int], *, transport: str = "udp", to: str = "100") -> Caller:
        sip = await (SipEndpoint.tcp(remote) if transport == "tcp" else SipEndpoint.udp())
        return cls(sip, remote, RtpPeer(), to)

    def close(self) -> None:
        self.rtp.close()
        self.sip.close()

    @property
    def target(self) -> str:
        return f"sip:{self.to}@{self.remote[0]}:{self.remote[1]}"

    def send(self, data: bytes) -> None:
        """Once."""
        self.sip.send(data, self.remote)

    def ask(self, method: str, cseq: int, data: bytes) -> None:
        """Send a request, again and again until it is answered: an INVITE by any response, others by a final one."""
        self._asked[method] = cseq
        if not self.repeats:
            return self.send(data)
        least, longest_s = (100, 64 * T1_S) if method == "INVITE" else (200, T2_S)
        answers = lambda m: m.status >= least and m.method == method and m.cseq == cseq  # noqa: E731
        return self.sip.send_until(answers, data, self.remote, longest_s)

    def _acknowledge(self, response: SipMessage, data: bytes) -> None:
        self._acks[response.cseq, response.to_tag] = data
        self.send(data)

    def _acknowledge_again(self, message: SipMessage) -> None:
        """RFC 3261, 13.2.2.4 and 17.1.1.2: each final response that comes again."""
        if self.repeats and message.status >= 200 and message.method == "INVITE":
            ack = self._acks.get((message.cseq, message.to_tag))
            if ack:
                self.send(ack)

    def fields(self, method: str, *, to: str = "", via: str = "", cseq: int | None = None) -> list[tuple[str, str]]:
        return [
            ("Via", via or self.sip.via()),
            ("Max-Forwards", "70"),
            ("From", f'"Probe" <{self.sip.uri}>;tag={self.from_tag}'),
            ("To", to or f"<{self.target}>"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq if cseq is None else cseq} {method}"),
            ("Contact", f"<{self.sip.uri}>"),
        ]

    def invite(
        self,
        body: str | None = None,
        *,
        more: list[tuple[str, str]] | None = None,
        content_type: str = "application/sdp",
    ) -> None:
        """The first INVITE, with an offer of G.711 unless told."""
        self.cseq += 1
        self.invite_branch = branch()
        self.invite_fields = self.fields("INVITE", via=self.sip.via(self.invite_branch))
        offer = sdp(self.rtp.port) if body is None else body
        self.invite_data = build(
            f"INVITE {self.target} SIP/2.0", self.invite_fields + (more or []), offer, content_type
        )
        self.ask("INVITE", self.cseq, self.invite_data)

    async def final(self, within_s: float = WITHIN_S, cseq: int | None = None) -> SipMessage:
        """The final response to the INVITE of ``cseq`` (the last)."""
        number = self.cseq if cseq is None else cseq
        wanted = lambda m: m.status >= 200 and m.method == "INVITE" and m.cseq == number  # noqa: E731
        return await self.sip.expect(wanted, within_s, "final response to INVITE")

    async def response(self, method: str, within_s: float = WITHIN_S) -> SipMessage:
        """The final response to the last request of this method."""
        number = self._asked[method]
        wanted = lambda m: m.status >= 200 and m.method == method and m.cseq == number  # noqa: E731
        return await self.sip.expect(wanted, within_s, f"final response to {method}")

    def request_target(self) -> str:
        return self.answer.contact if self.answer else self.target

    def in_dialog(self, method: str, *, cseq: int | None = None) -> list[tuple[str, str]]:
        assert self.answer
        routes = [("Route", v) for v in reversed(self.answer.all("Record-Route"))]
        return self.fields(method, to=self.answer.get("To"), cseq=cseq) + routes

    def ack(self, body: str = "") -> None:
        """ACK of the 200 that was kept as ``answer``; with a body where that had the offer."""
        assert self.answer
        fields = self.in_dialog("ACK", cseq=self.answer.cseq)
        self._acknowledge(self.answer, build(f"ACK {self.request_target()} SIP/2.0", fields, body))

    def ack_failure(self, response: SipMessage) -> None:
        via = self.invite_fields[0][1]
        fields = self.fields("ACK", to=response.get("To"), via=via, cseq=response.cseq)
        self._acknowledge(response, build(f"ACK {self.target} SIP/2.0", fields))

    def ack_reinvite_failure(self, response: SipMessage) -> None:
        fields = [("Via", response.get("Via")), *self.in_dialog("ACK", cseq=response.cseq)[1:]]
        self._acknowledge(response, build(f"ACK {self.request_target()} SIP/2.0", fields))

    def cancel(self) -> None:
        fields = self.fields("CANCEL", via=self.invite_fields[0][1])
        self.ask("CANCEL", self.cseq, build(f"CANCEL {self.target} SIP/2.0", fields))

    def request(
        self,
        method: str,
        body: str = "",
        *,
        content_type: str = "application/sdp",
        more: list[tuple[str, str]] | None = None,
    ) -> None:
        """A request inside the dialog."""
        self.cseq += 1
        fields = self.in_dialog(method) + (more or [])
        self.ask(method, self.cseq, build(f"{method} {self.request_target()} SIP/2.0", fields, body, content_type))

    async def reinvite(self, direction: str = "sendrecv", rtp: RtpPeer | None = None) -> SipMessage:
        """Offer again (hold, another address), ACK the answer, return it."""
        self.sdp_version += 1
        self.request("INVITE", sdp((rtp or self.rtp).port, direction=direction, version=self.sdp_version))
        answer = await self.final()
        if answer.status < 300:
            self.answer = answer
            self.ack()
        else:
            self.ack_failure(answer)
        return answer

    async def established(self, within_s: float = WITHIN_S, **invite: str) -> SipMessage:
        """INVITE, wait for 200, ACK, and start the media (silence flows)."""
        self.invite(invite.get("body"))
        return await self.accept(within_s)

    async def accept(self, within_s: float = WITHIN_S) -> SipMessage:
        answer = await self.final(within_s)
        assert answer.status == 200, f"{answer.start}\n{answer.fields}"
        self.answer = answer
        self.ack()
        payload_type = int(answer.sdp(r"^m=audio \d+ RTP/AVP (\d+)")[0])
        self.rtp.start(answer.media, payload_type)
        return answer

    async def info_digit(self, digit: str) -> SipMessage:
        self.request("INFO", f"Signal={digit}\r\nDuration=160\r\n", content_type="application/dtmf-relay")
        return await self.response("INFO")

    async def bye(self) -> SipMessage:
        """BYE and its answer."""
        self.request("BYE")
        return await self.response("BYE")

    async def ended_by_node(self, within_s: float = WITHIN_S) -> SipMessage:
        """Wait for the node's BYE and answer it."""
        bye = await self.sip.request("BYE", within_s)
        self.sip.respond(bye, 200, "OK")
        await asyncio.sleep(0)
        return bye
