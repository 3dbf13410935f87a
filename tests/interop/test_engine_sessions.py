"""What a peer may do to a session: hold, move, press keys in several ways, offer what we lack."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from offhook.node.engine import ops, reports
from rig.dialog import Caller, sdp
from rig.engine import running_engine
from rig.rtp import RtpPeer
from rig.waiting import until


@pytest.fixture
async def engine():
    async with running_engine() as engine:
        controller, welcome = await engine.connected()
        host, _, port = welcome.sip_udp.rpartition(":")
        engine.controller = controller
        engine.sip = (host, int(port))
        yield engine


@contextlib.asynccontextmanager
async def calling(engine, **invite):
    """A call by a probe, answered by us: the probe's end and the leg."""
    caller = await Caller.open(engine.sip)
    try:
        caller.invite(invite.get("body"))
        incoming = await engine.controller.sees(reports.LegIncoming)
        await engine.controller.port.execute(ops.LegAnswer(id=1, leg=incoming.leg))
        await caller.accept()
        await engine.controller.sees(reports.LegAnswered)
        yield caller, incoming.leg
        if not engine.controller.of(reports.LegEnded):
            await caller.bye()
            assert (await engine.controller.sees(reports.LegEnded)).cause == "bye"
    finally:
        caller.close()


async def test_an_incoming_call_is_told_with_all_that_the_invite_said(engine):
    async with calling(engine) as (caller, leg):
        incoming = await engine.controller.sees(reports.LegIncoming)
        assert incoming.sip_call_id == caller.call_id
        assert incoming.request_uri == caller.target
        assert incoming.from_display == "Probe"
        assert incoming.from_uri == caller.sip.uri
        assert "Max-Forwards" in {header.name for header in incoming.headers}
        assert incoming.codecs == ["PCMU", "PCMA"]
        traced = await engine.controller.sees(reports.SipTrace, lambda trace: trace.summary.startswith("INVITE"))
        assert (traced.leg, traced.sent) == (leg, False)


async def pressed(engine, by, key):
    """A key that was not pressed yet, by INFO or in the media: when it is told, media does what it was told before."""
    if isinstance(by, Caller):
        await by.info_digit(key)
    else:
        by.digit(key)
    await engine.controller.sees(reports.DigitReport, lambda report: report.digit == key)


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
async def test_hold_silences_us_and_resuming_brings_us_back(engine, direction):
    async with calling(engine) as (caller, leg):
        tone = ops.ToneSource([ops.Tone(1000, [440.0])], duration_ms=-1)
        await engine.controller.port.execute(ops.Play(id=2, leg=leg, sources=[tone]))
        await caller.rtp.hears(10, louder_than=500)
        answer = await caller.reinvite(direction)
        assert answer.status == 200
        assert (await engine.controller.sees(reports.LegChanged)).hold is True
        await pressed(engine, caller, "1")
        mark = caller.rtp.mark()
        await asyncio.sleep(0.4)
        await pressed(engine, caller, "2")
        assert caller.rtp.heard(mark) == []
        await caller.reinvite("sendrecv")
        await engine.controller.sees(reports.LegChanged, lambda changed: not changed.hold)
        await caller.rtp.hears(15, caller.rtp.mark(), louder_than=500)


async def test_media_follows_the_peer_to_a_new_address(engine):
    async with calling(engine) as (caller, _leg):
        moved = RtpPeer()
        try:
            answer = await caller.reinvite(rtp=moved)
            moved.start(answer.media, caller.rtp.payload_type)
            changed = await engine.controller.sees(reports.LegChanged)
            assert changed.remote_media == f"127.0.0.1:{moved.port}"
            assert changed.hold is False
            await pressed(engine, moved, "5")
            old, new = caller.rtp.mark(), moved.mark()
            await moved.hears(10, new)
            assert caller.rtp.heard(old) == []
        finally:
            moved.close()


async def test_another_codec_in_a_reinvite_is_told_and_in_the_snapshot(engine):
    async with calling(engine) as (caller, leg):
        [answered] = engine.controller.of(reports.LegAnswered)
        assert answered.codec == "PCMU"
        caller.sdp_version += 1
        caller.request("INVITE", sdp(caller.rtp.port, codecs="8", direction="sendonly", version=caller.sdp_version))
        answer = await caller.final()
        assert answer.status == 200
        caller.answer = answer
        caller.ack()
        changed = await engine.controller.sees(reports.LegChanged)
        assert (changed.leg, changed.codec, changed.hold) == (leg, "PCMA", True)
        [snapshot] = (await engine.controller.start()).legs
        assert snapshot.codec == "PCMA"
        assert snapshot.held_ms is not None
        assert snapshot.held_ms <= snapshot.answered_ms <= snapshot.age_ms < 60_000


async def test_for_how_long_a_peer_holds_is_told_from_its_first_offer_that_did(engine):
    async with calling(engine) as (caller, _leg):
        await asyncio.sleep(0.3)
        asked = time.monotonic()
        await caller.reinvite("sendonly")
        held = time.monotonic()
        for direction in (None, "inactive"):
            if direction:
                await caller.reinvite(direction)
            await asyncio.sleep(0.3)
            least_s = time.monotonic() - held
            [snapshot] = (await engine.controller.start()).legs
            most_s = time.monotonic() - asked
            assert least_s * 1000 - 1 <= snapshot.held_ms <= most_s * 1000
            assert snapshot.held_ms + 300 - 1 <= snapshot.answered_ms
        await caller.reinvite("sendrecv")
        [snapshot] = (await engine.controller.start()).legs
        assert snapshot.held_ms is None


async def test_an_offer_that_we_cannot_take_leaves_the_session_as_it_was(engine):
    async with calling(engine) as (caller, _leg):
        caller.sdp_version += 1
        caller.request("INVITE", sdp(caller.rtp.port, codecs="18", version=caller.sdp_version))
        refused = await caller.final()
        assert refused.status == 488
        caller.ack_failure(refused)
        caller.rtp.digit("6")
        assert (await engine.controller.sees(reports.DigitReport)).digit == "6"
        assert engine.controller.of(reports.LegChanged) == []


async def test_a_call_without_a_codec_in_common_is_refused_before_the_node_hears_of_it(engine):
    caller = await Caller.open(engine.sip)
    caller.invite(sdp(caller.rtp.port, codecs="18"))
    refused = await caller.final()
    caller.ack_failure(refused)
    assert refused.status == 488
    assert len(refused.reason) > 10
    assert engine.controller.of(reports.LegIncoming) == []
    caller.close()


async def test_an_invite_without_an_offer_gets_ours_and_media_flows_after_the_ack(engine):
    caller = await Caller.open(engine.sip)
    caller.invite("")
    incoming = await engine.controller.sees(reports.LegIncoming)
    await engine.controller.port.execute(ops.LegAnswer(id=1, leg=incoming.leg))
    answer = await caller.final()
    assert answer.status == 200
    caller.answer = answer
    caller.ack(sdp(caller.rtp.port))
    answered = await engine.controller.sees(reports.LegAnswered)
    assert answered.remote_media == f"127.0.0.1:{caller.rtp.port}"
    caller.rtp.start(answer.media)
    caller.rtp.digit("3")
    assert (await engine.controller.sees(reports.DigitReport)).digit == "3"
    await caller.bye()
    await engine.controller.sees(reports.LegEnded)
    caller.close()


async def test_early_media_of_an_invite_without_an_offer_is_a_180(engine):
    """RFC 3261, 13.2.1: an offer of ours goes into the 200, for nobody acknowledges a 183."""
    caller = await Caller.open(engine.sip)
    caller.invite("")
    incoming = await engine.controller.sees(reports.LegIncoming)
    await engine.controller.port.execute(ops.LegRing(id=1, leg=incoming.leg, early_media=True))
    ringing = await caller.sip.expect(lambda m: m.status > 100, 30.0, "a provisional response")
    assert (ringing.status, ringing.body) == (180, "")
    await engine.controller.port.execute(ops.LegAnswer(id=2, leg=incoming.leg))
    answer = await caller.final()
    assert answer.sdp(r"^m=audio \d+ RTP/AVP ([\d ]+)") == ["0 8 9 101"]
    caller.answer = answer
    caller.ack(sdp(caller.rtp.port))
    await engine.controller.sees(reports.LegAnswered)
    await caller.bye()
    await engine.controller.sees(reports.LegEnded)
    caller.close()


async def test_a_codec_that_the_program_did_not_name_is_better_than_the_end_of_the_session(engine):
    """livekit/sip#766: of those that are offered again the named one wins, and another is taken where it is alone."""
    caller = await Caller.open(engine.sip)
    caller.invite()
    incoming = await engine.controller.sees(reports.LegIncoming)
    await engine.controller.port.execute(ops.LegAnswer(id=1, leg=incoming.leg, codecs=["PCMA"]))
    await caller.accept()
    for codecs, chosen in (("0", "0"), ("0 8", "8"), ("0", "0")):
        caller.sdp_version += 1
        caller.request("INVITE", sdp(caller.rtp.port, codecs=codecs, version=caller.sdp_version))
        answer = await caller.final()
        assert answer.sdp(r"^m=audio \d+ RTP/AVP (\d+)") == [chosen]
        caller.answer = answer
        caller.ack()
    await caller.bye()
    await engine.controller.sees(reports.LegEnded)
    caller.close()


async def test_our_offer_repeats_the_streams_and_numbers_of_the_call(engine):
    """RFC 3264, 8 and 8.3.2: click-to-dial and hold servers ask for an offer again and again."""
    head, _, stream = sdp(5006).replace("101", "97").partition("m=audio")
    async with calling(engine, body=f"{head}m=video 5004 RTP/AVP 31\r\nm=audio{stream}") as (caller, _leg):
        stream = stream.replace("5006", str(caller.rtp.port))
        for _ in range(2):
            caller.request("INVITE")
            answer = await caller.final()
            assert answer.sdp(r"^m=\w+ [^\r]*") == [
                "m=video 0 RTP/AVP 31",
                f"m=audio {answer.media[1]} RTP/AVP 0 8 9 97",
            ]
            caller.answer = answer
            caller.ack(f"{head}m=video 0 RTP/AVP 31\r\nm=audio{stream}".replace(" 0 8 97", " 8 97"))
            caller.rtp.start(answer.media, 8)
            caller.rtp.event_type = 97
        caller.rtp.digit("4")
        assert (await engine.controller.sees(reports.DigitReport)).digit == "4"


@pytest.mark.parametrize("order", ["info-first", "rfc4733-first"])
async def test_one_press_by_info_and_by_rfc_4733_is_one_digit(engine, order):
    """eigger/hass-sip#24: phones that send both."""
    async with calling(engine) as (caller, _leg):
        ways = [caller.info_digit, caller.rtp.digit]
        for number, key in enumerate("11#", 1):
            for way in ways if order == "info-first" else reversed(ways):
                said = way(key)
                if said is not None:
                    await said
                await caller.rtp.has_said_all()
                await until(
                    lambda number=number: len(engine.controller.of(reports.DigitReport)) >= number, "it is told"
                )
        for by, key in ((caller, "8"), (caller.rtp, "9")):  # they are told after all that came the same way
            await pressed(engine, by, key)
        digits = [report.digit for report in engine.controller.of(reports.DigitReport)]
        assert digits == ["1", "1", "#", "8", "9"]


async def test_digits_by_info_alone_arrive(engine):
    async with calling(engine) as (caller, _leg):
        for key in "25*":
            assert (await caller.info_digit(key)).status == 200
        await engine.controller.sees(reports.DigitReport, lambda report: report.digit == "*")
        digits = engine.controller.of(reports.DigitReport)
        assert [(report.digit, report.method) for report in digits] == [("2", "info"), ("5", "info"), ("*", "info")]


async def test_a_digit_without_marker_bits_arrives_once(engine):
    """livekit/sip#742."""
    async with calling(engine) as (caller, _leg):
        caller.rtp.digit("9", marker=False)
        await pressed(engine, caller.rtp, "8")
        assert [report.digit for report in engine.controller.of(reports.DigitReport)] == ["9", "8"]
        assert engine.controller.of(reports.DigitReport)[0].method == "rfc4733"


async def test_a_peer_that_falls_silent_is_let_go():
    async with running_engine(media_timeout_s=1.0) as engine:
        controller, welcome = await engine.connected()
        host, _, port = welcome.sip_udp.rpartition(":")
        caller = await Caller.open((host, int(port)))
        caller.invite()
        leg = (await controller.sees(reports.LegIncoming)).leg
        await controller.port.execute(ops.LegAnswer(id=1, leg=leg))
        await caller.accept()
        caller.rtp.close()
        bye = await caller.sip.request("BYE")
        caller.sip.respond(bye, 200, "OK")
        ended = await controller.sees(reports.LegEnded)
        assert (ended.by, ended.cause) == ("local", "media_timeout")
        assert "RTP" in ended.reason
        caller.sip.close()
