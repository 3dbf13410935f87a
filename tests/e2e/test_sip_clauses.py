"""What the node does as UAS and UAC, clause by clause, against a probe that sends exact messages."""

from __future__ import annotations

import asyncio
import random

import pytest

from rig import audio
from rig.cpu import Stopwatch
from rig.dialog import Caller, sdp
from rig.fixtures import AudioServer, Callers, Talk, answered, offer
from rig.node import NodeProcess
from rig.relay import RelayPeer
from rig.rtp import RtpPeer, largest_stop_ms, missing
from rig.sip import SipEndpoint, SipMessage, assert_helpful, branch, build, sentence, unique


async def options(endpoint: SipEndpoint, remote: tuple[str, int], method: str = "OPTIONS", **more: str) -> SipMessage:
    fields = [
        ("Via", endpoint.via()),
        ("Max-Forwards", "70"),
        ("From", f"<{endpoint.uri}>;tag={unique('t')}"),
        ("To", f"<sip:100@{remote[0]}:{remote[1]}>" + (";tag=nobody" if method == "BYE" else "")),
        ("Call-ID", unique("alone")),
        ("CSeq", f"1 {method}"),
        ("Contact", f"<{endpoint.uri}>"),
        *more.items(),
    ]
    call_id = fields[4][1]
    endpoint.send(build(f"{method} sip:100@{remote[0]}:{remote[1]} SIP/2.0", fields), remote)
    return await endpoint.expect(lambda m: m.status >= 200 and m.get("Call-ID") == call_id, 30.0, f"answer to {method}")


async def test_tcp_carries_a_whole_call(callers: Callers, relay: RelayPeer) -> None:
    talk = await answered(await callers("tcp"), relay)
    assert "transport=tcp" in talk.caller.answer.contact.lower()
    talk.caller.rtp.digit("3")
    await relay.command(talk.call, "end")
    assert (await talk.caller.ended_by_node()).method == "BYE"
    await relay.state(talk.call, "ended")


@pytest.mark.parametrize(
    ("method", "more", "status"),
    [("OPTIONS", {}, 200), ("PUBLISH", {}, 405), ("BYE", {}, 481), ("INFO", {}, 481)],
)
async def test_requests_outside_a_dialog(node: NodeProcess, method: str, more: dict[str, str], status: int) -> None:
    endpoint = await SipEndpoint.udp()
    answer = await options(endpoint, node.sip(), method, **more)
    if status == 200:
        assert answer.status == 200
        assert "INVITE" in answer.get("Allow")
    else:
        assert_helpful(answer, status)
    if status == 405:
        assert "INVITE" in answer.get("Allow")
    endpoint.close()


async def test_415_for_a_body_that_is_no_sdp(callers: Callers) -> None:
    caller = await callers()
    caller.invite("01 02", content_type="application/isup")
    final = await caller.final()
    caller.ack_failure(final)
    assert_helpful(final, 415)
    assert "application/sdp" in final.get("Accept")


async def test_420_for_an_extension_that_is_required_and_unknown(callers: Callers) -> None:
    caller = await callers()
    caller.invite(more=[("Require", "x-made-up")])
    final = await caller.final()
    caller.ack_failure(final)
    assert_helpful(final, 420)
    assert final.get("Unsupported") == "x-made-up"


async def test_488_for_an_offer_without_a_codec_that_is_spoken_here(callers: Callers) -> None:
    """livekit/sip#362: a refusal that does not say why costs its reader a day."""
    caller = await callers()
    caller.invite(sdp(caller.rtp.port, codecs="18", events=False))
    final = await caller.final()
    caller.ack_failure(final)
    assert_helpful(final, 488)


async def test_488_for_a_reinvite_that_cannot_be_met_leaves_the_call_as_it_was(talk: Talk) -> None:
    caller = talk.caller
    caller.request("INVITE", sdp(caller.rtp.port, codecs="18", events=False, version=2))
    final = await caller.final()
    caller.ack_reinvite_failure(final)
    assert_helpful(final, 488)
    await caller.rtp.hears(10, caller.rtp.mark())


async def test_480_names_the_context_when_nobody_listens(node: NodeProcess, callers: Callers) -> None:
    caller = await callers()
    caller.invite()
    final = await caller.final(within_s=30)
    caller.ack_failure(final)
    assert_helpful(final, 480)
    assert "default" in sentence(final)


async def test_an_early_cancel_ends_the_call_as_abandoned(callers: Callers, relay: RelayPeer) -> None:
    caller = await callers()
    call = await offer(caller, relay)
    caller.cancel()
    assert (await caller.response("CANCEL")).status == 200
    final = await caller.final()
    caller.ack_failure(final)
    assert final.status == 487
    ended = await relay.state(call, "ended")
    assert ended.params["end_reason"] == "abandoned"
    reply = await relay.call("calling.answer", {"node_id": call.params["node_id"], "call_id": call.call_id})
    assert reply.data["result"]["code"] in {"404", "410"}


async def test_a_cancel_that_crosses_the_answer_leaves_one_outcome(node: NodeProcess, relay: RelayPeer) -> None:
    """Twenty races: either 487, or 200 that is acknowledged and hung up; ``ended`` exactly once."""
    dice = random.Random(11)
    outcomes = []
    for _ in range(20):
        caller = await Caller.open(node.sip())
        call = await offer(caller, relay)
        where = {"node_id": call.params["node_id"], "call_id": call.call_id}
        answering = asyncio.create_task(relay.call("calling.answer", where))
        await asyncio.sleep(dice.uniform(0, 0.004))
        caller.cancel()
        final = await caller.final()
        outcomes.append(final.status)
        if final.status == 200:
            caller.answer = final
            caller.ack()
            await caller.bye()
        else:
            assert final.status == 487
            caller.ack_failure(final)
        await answering
        await relay.state(call, "ended")
        caller.close()
    await asyncio.sleep(0.2)
    ended = [e.call_id for e in relay.events if e.type == "calling.call.state" and e.state == "ended"]
    assert len(ended) == len(set(ended)) == 20
    print(f"cancel races: {outcomes.count(487)} cancelled, {outcomes.count(200)} answered")


async def test_a_cancel_after_the_answer_changes_nothing(callers: Callers, relay: RelayPeer) -> None:
    talk = await answered(await callers(), relay)
    talk.caller.cancel()
    assert (await talk.caller.response("CANCEL")).status in {200, 481}
    await talk.caller.rtp.hears(15, talk.caller.rtp.mark())
    await talk.caller.bye()
    await relay.state(talk.call, "ended")


async def test_an_invite_that_comes_again_is_one_call(callers: Callers, relay: RelayPeer) -> None:
    caller = await callers()
    call = await offer(caller, relay)
    for _ in range(3):
        caller.send(caller.invite_data)
    await relay.command(call, "answer")
    await caller.accept()
    await asyncio.sleep(0.3)
    assert [e.type for e in relay.events].count("calling.call.receive") == 1
    await caller.bye()
    await relay.state(call, "ended")


async def test_hold_is_answered_and_silent_and_resume_is_heard_again(talk: Talk, audio_server: AudioServer) -> None:
    """livekit/sip#443: hold and resume."""
    caller = talk.caller
    url = audio_server.publish("tone.wav", audio.tone(440, 2.0))
    await talk.relay.command(
        talk.call, "play", control_id="t", play=[{"type": "audio", "params": {"url": url}}], loop=0
    )
    await talk.relay.event("play", lambda e: e.state == "playing")
    await asyncio.sleep(0.3)
    held = await caller.reinvite("sendonly")
    assert held.sdp(r"^a=(sendrecv|sendonly|recvonly|inactive)") == ["recvonly"]
    await asyncio.sleep(0.1)
    mark = caller.rtp.mark()
    await asyncio.sleep(0.5)
    assert all(rms < 100 for _, rms in caller.rtp.loudness(mark)), "heard while on hold"
    caller.rtp.digit("8")
    resumed = await caller.reinvite("sendrecv")
    assert resumed.sdp(r"^a=(sendonly|recvonly|inactive)") == []
    await caller.rtp.hears(20, caller.rtp.mark(), louder_than=1000)
    assert len({p.ssrc for p in caller.rtp.heard()}) == 1


@pytest.mark.judges_time
async def test_media_follows_a_moved_address_without_a_gap(talk: Talk) -> None:
    caller, old = talk.caller, talk.caller.rtp
    mark = old.mark()
    moved = RtpPeer()
    answer = await caller.reinvite("sendrecv", rtp=moved)
    moved.start(answer.media, old.payload_type)
    await asyncio.sleep(0.2)
    left = old.mark()
    await talk.relay.command(talk.call, "collect", control_id="after", digits={"max": 1}, initial_timeout=5)
    moved.digit("9")
    done = await talk.relay.event("collect", lambda e: e.params["control_id"] == "after")
    assert done.params["result"]["params"]["digits"] == "9"
    assert old.mark() == left, "still sent to the old address"
    together = sorted([*old.heard(mark), *moved.heard()], key=lambda p: p.at)
    assert missing(together) == []
    assert largest_stop_ms(together, old.waits) < 100
    caller.rtp = moved
    old.close()


async def test_media_of_a_stranger_is_not_heard(talk: Talk) -> None:
    """RTP injection: what comes from another address is not taken, and gets nothing back."""
    stranger = RtpPeer()
    stranger.start(talk.caller.answer.media)
    await talk.relay.command(talk.call, "collect", control_id="one", digits={"max": 1}, initial_timeout=30)
    await asyncio.sleep(0.2)
    stranger.digit("1")
    await stranger.has_said_all()
    await asyncio.sleep(0.2)
    talk.caller.rtp.digit("2")
    done = await talk.relay.event("collect", lambda e: e.params["control_id"] == "one")
    assert done.params["result"]["params"]["digits"] == "2"
    assert stranger.packets == []
    stranger.close()


@pytest.mark.judges_time
async def test_a_tcp_peer_that_does_not_read_slows_nobody(
    node: NodeProcess, relay: RelayPeer, callers: Callers
) -> None:
    """rustpbx and others: one full socket stopped the endpoint, UDP too."""
    reader, writer = await asyncio.open_connection(*node.sip("tcp"), limit=1024)
    reader._transport.pause_reading()
    local = writer.get_extra_info("sockname")
    talk = await answered(await callers(), relay)
    mark = talk.caller.rtp.mark()

    def question(number: int) -> bytes:
        via = f"SIP/2.0/TCP 127.0.0.1:{local[1]};branch={branch()}"
        fields = [
            ("Via", via),
            ("Max-Forwards", "70"),
            ("From", "<sip:deaf@127.0.0.1>;tag=1"),
            ("To", "<sip:100@127.0.0.1>"),
        ]
        return build(
            "OPTIONS sip:100@127.0.0.1 SIP/2.0", [*fields, ("Call-ID", f"deaf-{number}"), ("CSeq", "1 OPTIONS")]
        )

    async def flood() -> None:
        try:
            for block in range(100):
                writer.write(b"".join(question(block * 200 + n) for n in range(200)))
                await asyncio.wait_for(writer.drain(), 3)
        except (TimeoutError, ConnectionError):
            return

    flooding = asyncio.create_task(flood())
    endpoint = await SipEndpoint.udp()
    clock, took = Stopwatch(node.engine().pid), []
    for _ in range(40):
        began = clock.start()
        answer = await options(endpoint, node.sip())
        assert answer.status == 200
        took.append(clock.took(began, answer.at))
        await asyncio.sleep(0.05)
    await flooding
    writer.transport.abort()
    assert talk.caller.rtp.broken(mark) == []
    largest = talk.caller.rtp.largest_stop_ms(mark)
    print(
        f"beside a TCP peer that does not read: OPTIONS max {max(took) * 1000:.1f} ms, audio gap max {largest:.1f} ms"
    )
    assert max(took) < 0.5
    assert largest < 100
    endpoint.close()
    await talk.caller.bye()
    await relay.state(talk.call, "ended")
