"""What carriers, phones and gateways really send (`vectors/field`), through the whole chain.

It is answered and seen by the program as it should be, or refused with a sentence. The rule: `docs/internals/sip.md`,
"What is understood".
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rig.dialog import sdp
from rig.fixtures import Callers, answered
from rig.node import NodeProcess
from rig.relay import RelayPeer
from rig.responder import Responder
from rig.sip import SipEndpoint, SipMessage, assert_helpful, branch, build, unique

FIELD = Path(__file__).parents[2] / "vectors" / "field"
AUDIO = "m=audio PORT RTP/AVP 0 101"

TAKEN: dict[str, dict[str, object]] = {
    # sems-server/sems#129, freeswitch/sofia-sip#121
    "multipart-mixed": {},
    "multipart-isup-first": {},
    "multipart-nested": {},
    "multipart-lf": {},
    # MicrosoftDocs/OfficeDocs-SkypeForBusiness#9145, pjsip/pjproject#324, rayo/rayo-server#16
    "hash-in-user": {"to": "sip:1907%2315550100@NODE"},
    "percent-in-user": {"to": "sip:100%25@NODE"},
    "caret-in-user": {"to": "sip:100%5E7@NODE", "target": "sip:a%5Eb@PHONE"},
    # meetecho/janus-gateway#3164, ringcentral/ringcentral-web-phone#104
    "from-without-user": {"from": "sip:10.9.8.7"},
    "from-host-only": {"from": "sip:10.9.8.7"},
    "from-withheld": {"from": "sip:anonymous@anonymous.invalid"},
    "from-number-alone": {"from": "tel:15550199"},
    "from-anonymous": {"from": "sip:anonymous@anonymous.invalid"},
    # DoubangoTelecom/doubango#333
    "from-comma": {},
    "from-quotes-inside": {},
    "from-bare-unicode": {"from": "sip:ren%C3%A9e@caller.example"},
    # onsip/SIP.js#953
    "from-tel": {"from": "tel:+15550199"},
    "from-without-brackets": {},
    "from-number-portability": {"from": "sip:+15550199;npdi=yes@caller.example"},
    # OpenSIPS/opensips#2408
    "tel-request-uri": {"to": "tel:+15550100"},
    "tel-local": {"to": "tel:100"},
    # SIPp/sipp#535
    "fields-nobody-needs": {},
    "rport-in-branch": {},
    "via-empty-parameters": {},
    "via-source-made-up": {},
    "request-line-blanks": {},
    "length-twice": {},
    "little-said": {},
    # DoubangoTelecom/doubango#208, pjsip/pjproject#4615
    "sdp-event-one-channel": {},
    "sdp-event-two-rates": {},
    # baresip/baresip#79, team-telnyx/freeswitch#25
    "sdp-ip6-first": {"media": ["m=audio 0 RTP/AVP 0 101", AUDIO]},
    "sdp-many-lines": {
        "media": [
            "m=video 0 RTP/AVP 31",
            "m=text 0 RTP/AVP 98",
            "m=audio 0 RTP/SAVP 0",
            AUDIO,
            "m=image 0 udptl t38",
        ]
    },
    "sdp-lf-and-little-else": {"media": ["m=audio PORT RTP/AVP 0"]},
}

REFUSED: dict[str, tuple[int, str]] = {
    "multipart-required": (415, "application/sdp"),
    "multipart-two-sessions": (400, "two parts that could be meant"),
    "from-no-tag-value": (400, "From header field is malformed: the tag is empty"),
    "to-empty-tag": (400, "To header field is malformed: the tag is empty"),
    "from-two-addresses": (400, "put the display name in quotes"),
    "contact-broken": (400, "Contact header field is malformed"),
    "via-broken": (400, "Via header field is malformed"),
    "sips-request-uri": (416, "sips: needs TLS"),
    "urn-request-uri": (416, "Only sip: and tel:"),
    # sipwise/rtpengine#58
    "sdp-name": (488, "names are not resolved here"),
    "sdp-stereo": (488, "no codec in common"),
}


@dataclass
class Sender:
    """Sends one file, and what a dialog needs after it."""

    sip: SipEndpoint
    node: tuple[str, int]
    names: dict[str, str]

    def send(self, name: str) -> None:
        head, _, body = (FIELD / f"{name}.sip").read_text().partition("\n\n")
        content = self._filled(body).replace("\n", "\r\n").replace("<LF>", "\n").encode()
        self.names["length"] = str(len(content))
        self.head = self._filled(head).split("\n")
        data = "\r\n".join([*self.head, "", ""]).encode() + content
        self.sip.send_until(lambda m: m.get("Call-ID") == self.names["call"], data, self.node)

    def _filled(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace("{" + name + "}", value)
        return text

    def field(self, name: str) -> str:
        return next(line.partition(": ")[2] for line in self.head if line.startswith(f"{name}: "))

    def ack(self, answer: SipMessage) -> None:
        """Of a refusal with its branch, of a 200 with another."""
        via = answer.get("Via") if answer.status >= 300 else self.sip.via(branch())
        fields = [("Via", via), ("Max-Forwards", "70"), ("From", self.field("From")), ("To", answer.get("To"))]
        fields += [("Call-ID", self.names["call"]), ("CSeq", "1 ACK")]
        self.sip.send(build(f"ACK {answer.contact or 'sip:100@' + self.names['node']} SIP/2.0", fields), self.node)


@pytest.fixture
async def sender(node: NodeProcess) -> AsyncIterator[Sender]:
    sip, remote = await SipEndpoint.udp(), node.sip()
    names = {"node": f"{remote[0]}:{remote[1]}", "port": str(sip.port), "rtp": "40404", "call": unique("field")}
    yield Sender(sip, remote, {**names, "tag": unique("t"), "branch": branch()})
    sip.close()


async def final(sender: Sender) -> SipMessage:
    """The final answer; it has the sender's own words in it."""
    wanted = lambda m: m.status >= 200 and m.get("Call-ID") == sender.names["call"]  # noqa: E731
    answer = await sender.sip.expect(wanted, 30.0, "final response")
    assert answer.get("From") == sender.field("From")
    assert answer.get("To").count("tag=") == 1
    return answer


def test_every_file_has_an_expectation() -> None:
    assert {path.stem for path in FIELD.glob("*.sip")} == TAKEN.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", TAKEN)
async def test_what_can_be_understood_is_a_call(sender: Sender, relay: RelayPeer, name: str) -> None:
    wanted = TAKEN[name]
    where = {"NODE": sender.names["node"], "PHONE": f"127.0.0.1:{sender.sip.port}"}
    filled = lambda text: re.sub("NODE|PHONE", lambda m: where[m[0]], str(text))  # noqa: E731
    sender.send(name)
    call = await relay.event("receive")
    params = call.params["device"]["params"]
    assert params["from"] == wanted.get("from", "sip:ann@caller.example")
    assert params["to"] == filled(wanted.get("to", "sip:100@NODE"))
    await relay.command(call, "answer")
    answer = await final(sender)
    assert answer.status == 200
    media = [line for line in answer.body.splitlines() if line.startswith("m=")]
    port = re.search(r"m=audio ([1-9]\d*) ", answer.body)
    assert port
    assert media == [line.replace("PORT", port[1]) for line in wanted.get("media", [AUDIO])]
    assert re.search(rf";branch=[^;]*;rport={sender.sip.port};received=127.0.0.1$", answer.get("Via"))
    sender.ack(answer)
    await relay.state(call, "answered")
    await relay.command(call, "end")
    bye = await sender.sip.request("BYE", 30.0)
    assert bye.uri == filled(wanted.get("target", "sip:box@PHONE"))
    sender.sip.respond(bye, 200, "OK")
    await relay.state(call, "ended")


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_ambiguous_or_not_built_is_refused_with_a_sentence(sender: Sender, name: str) -> None:
    status, words = REFUSED[name]
    sender.send(name)
    answer = await final(sender)
    assert_helpful(answer, status)
    assert words in f"{answer.reason} {answer.get('Accept')}"
    sender.ack(answer)


@pytest.mark.parametrize(("first", "later", "number"), [("0", "8", 8), ("8", "0", 0)])
async def test_a_re_invite_with_the_other_codec_alone_changes_the_codec(
    callers: Callers, relay: RelayPeer, first: str, later: str, number: int
) -> None:
    """livekit/sip#766, emiago/diago#150."""
    caller = await callers()
    talk = await answered(caller, relay, sdp(caller.rtp.port, codecs=first))
    caller.request("INVITE", sdp(caller.rtp.port, codecs=later, version=2))
    answer = await caller.final()
    assert (answer.status, answer.sdp(r"^m=audio \d+ RTP/AVP (\d+) ")) == (200, [later])
    caller.answer = answer
    caller.ack()
    mark = caller.rtp.mark()
    async with asyncio.timeout(30):
        while number not in {packet.payload_type for packet in caller.rtp.heard(mark)}:
            await asyncio.sleep(0.02)
    caller.rtp.start(answer.media, number)
    await relay.command(talk.call, "collect", control_id="c", digits={"max": 1}, initial_timeout=20)
    caller.rtp.digit("7")
    done = await relay.event("collect", lambda e: e.params["control_id"] == "c")
    assert done.params["result"]["params"]["digits"] == "7"
    await caller.bye()
    await relay.state(talk.call, "ended")


async def test_a_called_party_may_answer_in_parts_and_send_its_keys_by_a_number_of_its_own(relay: RelayPeer) -> None:
    """pjsip/pjproject#3700; SIPp/sipp#862, signalwire/freeswitch#1816."""
    callee, tag = await Responder.open(), f"dial-{uuid.uuid4()}"
    device = {"type": "sip", "params": {"to": callee.uri, "from": "sip:test@localhost", "timeout": 20}}
    await relay.request("calling.dial", {"tag": tag, "devices": [[device]]})
    invite = await callee.offered()
    body = sdp(callee.rtp.port, codecs="0").replace("101", "96")
    parts = ["Content-Type: application/isup;version=ansi00\r\n\r\n01", f"Content-Type: application/sdp\r\n\r\n{body}"]
    multipart = "".join(f"--cut\r\n{part}\r\n" for part in parts) + "--cut--\r\n"
    kind = "multipart/mixed;boundary=cut"
    callee.sip.respond(invite, 200, "OK", tag=callee.tag, body=multipart, content_type=kind)
    await callee.acknowledged()
    dialled = await relay.event("dial", lambda e: e.params["tag"] == tag and e.state == "answered")
    callee.rtp.event_type = 96
    callee.rtp.start(invite.media)
    call = dialled.params["call"]
    await relay.command(call, "collect", control_id="c", digits={"max": 2}, initial_timeout=20)
    callee.rtp.digit("6")
    callee.rtp.digit("#")
    done = await relay.event("collect", lambda e: e.params["control_id"] == "c")
    assert done.params["result"]["params"]["digits"] == "6#"
    await relay.command(call, "end")
    await callee.ended()
    await relay.state(call, "ended")
    callee.close()
