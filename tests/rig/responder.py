"""A scripted callee: what the probe is proved against before it judges a node, and what a node dials."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from rig.dialog import sdp
from rig.rtp import RtpPeer
from rig.sip import WITHIN_S, SipEndpoint, SipMessage, build, unique

__all__ = ["Responder"]


@dataclass
class Responder:
    """A UAS on a UDP port. Each step is a method: ``offered``, ``ring``, ``answer``, ``acknowledged``, ``bye``,
    ``cancelled``.
    """

    sip: SipEndpoint
    rtp: RtpPeer
    tag: str = field(default_factory=lambda: unique("uas"))
    invite: SipMessage | None = None
    payload_type: int = 0
    cseq: int = 500

    @classmethod
    async def open(cls) -> Responder:
        return cls(await SipEndpoint.udp(), RtpPeer())

    def close(self) -> None:
        self.rtp.close()
        self.sip.close()

    @property
    def uri(self) -> str:
        return f"sip:callee@127.0.0.1:{self.sip.port}"

    async def offered(self, within_s: float = WITHIN_S) -> SipMessage:
        """Wait for an INVITE."""
        self.invite = await self.sip.request("INVITE", within_s)
        return self.invite

    def respond(self, status: int, reason: str, body: str = "") -> None:
        assert self.invite
        self.sip.respond(self.invite, status, reason, tag="" if status == 100 else self.tag, body=body)

    def ring(self) -> None:
        self.respond(180, "Ringing")

    def answer(self, tag: str = "", codecs: str = "0") -> None:
        """200 with SDP; media begins at once. Another ``tag`` is another fork."""
        assert self.invite
        self.payload_type = int(codecs)
        self.sip.respond(self.invite, 200, "OK", tag=tag or self.tag, body=sdp(self.rtp.port, codecs=codecs))
        self.rtp.start(self.invite.media, self.payload_type)

    async def acknowledged(self, within_s: float = WITHIN_S) -> SipMessage:
        return await self.sip.request("ACK", within_s)

    async def cancelled(self, within_s: float = WITHIN_S) -> SipMessage:
        """Wait for a CANCEL, and end the INVITE as it asks."""
        cancel = await self.sip.request("CANCEL", within_s)
        self.sip.respond(cancel, 200, "OK")
        self.respond(487, "Request Terminated")
        await self.acknowledged(within_s)
        return cancel

    async def bye(self) -> None:
        """Hang up from this side."""
        assert self.invite
        self.cseq += 1
        fields = [
            ("Via", self.sip.via()),
            ("Max-Forwards", "70"),
            ("From", f"{self.invite.get('To')};tag={self.tag}"),
            ("To", self.invite.get("From")),
            ("Call-ID", self.invite.get("Call-ID")),
            ("CSeq", f"{self.cseq} BYE"),
        ]
        is_answer = lambda m: m.status >= 200 and m.method == "BYE"  # noqa: E731
        self.sip.send_until(is_answer, build(f"BYE {self.invite.contact} SIP/2.0", fields), self.invite.source)
        await self.sip.expect(is_answer, WITHIN_S, "answer to BYE")

    async def ended(self, within_s: float = WITHIN_S) -> SipMessage:
        """Wait for a BYE and answer it."""
        bye = await self.sip.request("BYE", within_s)
        self.sip.respond(bye, 200, "OK")
        await asyncio.sleep(0)
        return bye
