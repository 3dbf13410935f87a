"""Calls that the node places, to a scripted callee: forks, reasons, cancelling, media and digits."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rig import audio
from rig.dialog import sdp
from rig.fixtures import AudioServer
from rig.node import NodeProcess
from rig.relay import Event, RelayPeer
from rig.responder import Responder
from rig.rtp import missing
from rig.sip import assert_helpful, build


@pytest.fixture
async def responder(node: NodeProcess) -> AsyncIterator[Responder]:
    made = await Responder.open()
    made.rtp.watch(node.engine().pid)
    yield made
    made.close()


async def dial(relay: RelayPeer, *devices: list[Responder], timeout: int = 10, **more: Any) -> str:
    """Ask for a call; the tag."""
    tag = f"dial-{uuid.uuid4()}"
    described = [
        [{"type": "sip", "params": {"to": r.uri, "from": "sip:test@localhost", "timeout": timeout}} for r in group]
        for group in devices
    ]
    result = await relay.request("calling.dial", {"tag": tag, "devices": described, **more})
    assert result["code"] == "200", result
    assert "call_id" not in result
    return tag


async def dialled(relay: RelayPeer, tag: str, state: str, within_s: float = 30.0) -> Event:
    return await relay.event("dial", lambda e: e.params["tag"] == tag and e.state == state, within_s=within_s)


async def test_a_dialled_call_carries_audio_and_digits_both_ways(
    relay: RelayPeer, responder: Responder, audio_server: AudioServer
) -> None:
    tag = await dial(relay, [responder])
    invite = await responder.offered()
    assert "telephone-event" in invite.body
    responder.ring()
    await relay.event("state", lambda e: e.params["tag"] == tag and e.state == "ringing")
    responder.answer()
    ack = await responder.acknowledged()
    assert ack.cseq == invite.cseq
    call = (await dialled(relay, tag, "answered")).params["call"]
    url = audio_server.publish("tone.wav", audio.tone(600, 1.0))
    await relay.command(call, "play", control_id="p", play=[{"type": "audio", "params": {"url": url}}])
    await relay.finished("play", "p")
    assert audio.bursts(responder.rtp.samples(), 600)
    await relay.command(call, "send_digits", control_id="d", digits="12#")
    await relay.finished("send_digits", "d")
    await asyncio.sleep(0.1)
    assert responder.rtp.digits() == "12#"
    first = next(p for p in responder.rtp.packets if p.payload_type == 101)
    assert first.marker, "freeswitch#2835: some receivers insist on the marker"
    assert missing(responder.rtp.heard()[:40], responder.rtp.waits) == []
    await relay.command(call, "collect", control_id="c", digits={"max": 1}, initial_timeout=5)
    responder.rtp.digit("4")
    done = await relay.event("collect", lambda e: e.params["control_id"] == "c")
    assert done.params["result"]["params"]["digits"] == "4"
    await responder.bye()
    ended = await relay.state(call, "ended")
    assert (ended.params["end_reason"], ended.params["tag"]) == ("hangup", tag)


async def test_digits_are_tones_where_no_events_were_negotiated(relay: RelayPeer, responder: Responder) -> None:
    tag = await dial(relay, [responder])
    await responder.offered()
    assert responder.invite
    responder.sip.respond(
        responder.invite, 200, "OK", tag=responder.tag, body=sdp(responder.rtp.port, codecs="0", events=False)
    )
    responder.rtp.start(responder.invite.media)
    await responder.acknowledged()
    call = (await dialled(relay, tag, "answered")).params["call"]
    await relay.command(call, "send_digits", control_id="d", digits="5")
    await relay.finished("send_digits", "d")
    heard = responder.rtp.joined()
    low, high = audio.bursts(heard, 770, 0.03), audio.bursts(heard, 1336, 0.03)
    assert len(low) == len(high) == 1
    assert responder.rtp.digits() == ""
    await relay.command(call, "end")
    await responder.ended()
    await relay.state(call, "ended")


REASONS = {
    486: "busy",
    600: "busy",
    408: "noAnswer",
    480: "noAnswer",
    603: "decline",
    404: "notFound",
    410: "notFound",
    604: "notFound",
    500: "error",
    488: "error",
    401: "error",
    503: "error",
    302: "error",
}


@pytest.mark.parametrize(("status", "reason"), REASONS.items())
async def test_a_refusal_has_its_reason(relay: RelayPeer, responder: Responder, status: int, reason: str) -> None:
    tag = await dial(relay, [responder])
    await responder.offered()
    responder.respond(status, "No")
    await responder.acknowledged()
    failed = await dialled(relay, tag, "failed")
    assert failed.params["reason"] == reason
    assert "call" not in failed.params
    ended = await relay.event("state", lambda e: e.state == "ended")
    assert (ended.params["end_reason"], ended.params["end_source"]) == (reason, "inbound")
    assert ended.number < failed.number


async def test_a_callee_that_never_answers_is_cancelled_and_is_no_answer(
    relay: RelayPeer, responder: Responder
) -> None:
    tag = await dial(relay, [responder], timeout=1)
    await responder.offered()
    responder.ring()
    cancel = await responder.sip.request("CANCEL")
    responder.sip.respond(cancel, 200, "OK")
    responder.respond(487, "Request Terminated")
    await responder.acknowledged()
    assert (await dialled(relay, tag, "failed")).params["reason"] == "noAnswer"


async def test_two_forks_that_both_answer_keep_one_and_hang_up_the_other(
    relay: RelayPeer, responder: Responder
) -> None:
    tag = await dial(relay, [responder])
    await responder.offered()
    responder.answer(tag="fork-a")
    responder.answer(tag="fork-b")
    acks = [await responder.acknowledged(), await responder.acknowledged()]
    assert {a.to_tag for a in acks} == {"fork-a", "fork-b"}
    bye = await responder.ended()
    done = await dialled(relay, tag, "answered")
    await asyncio.sleep(1.2)
    byes = {m.to_tag for m in responder.sip.inbox if m.method == "BYE" and not m.status}
    assert byes == {bye.to_tag}, "both forks were hung up"
    kept = ({"fork-a", "fork-b"} - byes).pop()
    responder.answer(tag=bye.to_tag)
    await responder.acknowledged()  # a 200 that comes again is acknowledged again
    await relay.command(done.params["call"], "end")
    last = await responder.ended()
    assert last.to_tag == kept
    await relay.state(done.params["call"], "ended")
    assert [e for e in relay.events if e.type == "calling.call.dial" and e.state == "answered"] == [done]


async def test_devices_are_tried_one_after_another(relay: RelayPeer, responder: Responder) -> None:
    second = await Responder.open()
    tag = await dial(relay, [responder], [second])
    await responder.offered()
    responder.respond(486, "Busy Here")
    await responder.acknowledged()
    await second.offered()
    second.answer()
    call = (await dialled(relay, tag, "answered")).params["call"]
    assert call["device"]["params"]["to"] == second.uri
    await relay.command(call, "end")
    await second.ended()
    await relay.state(call, "ended")
    second.close()


async def test_491_for_a_reinvite_while_our_invite_is_open(relay: RelayPeer, responder: Responder) -> None:
    tag = await dial(relay, [responder])
    invite = await responder.offered()
    responder.ring()
    fields = [
        ("Via", responder.sip.via()),
        ("Max-Forwards", "70"),
        ("From", f"{invite.get('To')};tag={responder.tag}"),
        ("To", invite.get("From")),
        ("Call-ID", invite.get("Call-ID")),
        ("CSeq", "77 INVITE"),
        ("Contact", f"<{responder.sip.uri}>"),
    ]
    data = build(f"INVITE {invite.contact} SIP/2.0", fields, sdp(responder.rtp.port))
    responder.sip.send(data, invite.source)
    final = await responder.sip.expect(
        lambda m: m.status >= 200 and m.cseq == 77, 30.0, "answer to the crossing INVITE"
    )
    assert_helpful(final, 491)
    ack = [("Via", fields[0][1]), *fields[1:3], ("To", final.get("To")), fields[4], ("CSeq", "77 ACK")]
    responder.sip.send(build(f"ACK {invite.contact} SIP/2.0", ack), invite.source)
    responder.answer()
    call = (await dialled(relay, tag, "answered")).params["call"]
    await relay.command(call, "end")
    await responder.ended()
    await relay.state(call, "ended")


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("sip:someone@192.0.2.1", "[dial] allow"),
        ("sip:someone@[::ffff:192.0.2.1]", "[dial] allow"),
        ("sip:someone@0.0.0.0", "[dial] allow"),
        ("sip:someone@no-such-host.invalid", "is not found"),
    ],
)
async def test_a_host_that_may_not_be_dialled_fails_with_a_sentence(relay: RelayPeer, to: str, says: str) -> None:
    tag = f"dial-{uuid.uuid4()}"
    result = await relay.request("calling.dial", {"tag": tag, "devices": [[{"type": "sip", "params": {"to": to}}]]})
    assert result["code"] == "200"
    failed = await dialled(relay, tag, "failed")
    assert failed.params["reason"] == "error"
    assert says in failed.params["message"]
    assert [e for e in relay.events if e.type == "calling.call.state"] == [], "a leg was placed"


async def test_a_phone_number_without_a_trunk_fails_with_what_to_configure(relay: RelayPeer) -> None:
    tag = f"dial-{uuid.uuid4()}"
    device = {"type": "phone", "params": {"to_number": "+15551230001", "from_number": "+15551230002"}}
    assert (await relay.request("calling.dial", {"tag": tag, "devices": [[device]]}))["code"] == "200"
    assert "[trunk] host" in (await dialled(relay, tag, "failed")).params["message"]
