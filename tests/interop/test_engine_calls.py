"""Calls between two engines over real SIP and RTP on loopback, each driven by its control socket alone."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import wave
from array import array

import pytest

from offhook.errors import EngineRefused
from offhook.node.engine import ops, reports
from offhook.testing.hearing import level_dbm0, tone_share
from offhook.testing.phone import CallFailed, NotHeard, Phone
from rig.engine import RawControl, running_engine
from rig.waiting import until


def tone_file(path, hz: float, seconds: float):
    samples = array("h", [round(8000 * math.sin(2 * math.pi * hz * n / 8000)) for n in range(round(seconds * 8000))])
    with wave.open(str(path), "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(8000)
        audio.writeframes(samples.tobytes())
    return path


def channels(path) -> list[array]:
    with wave.open(str(path), "rb") as audio:
        samples = array("h", audio.readframes(audio.getnframes()))
        return [samples[index :: audio.getnchannels()] for index in range(audio.getnchannels())]


@pytest.fixture
async def alice():
    async with Phone() as phone:
        yield phone


@pytest.fixture
async def bob():
    async with Phone() as phone:
        yield phone


@contextlib.asynccontextmanager
async def talking(alice: Phone, bob: Phone, **options):
    """A call from alice to bob, answered: her end and his."""
    async with asyncio.TaskGroup() as tasks:
        answering = tasks.create_task(bob.answer_next())
        hers = await alice.call(bob.uri, **options)
        his = await answering
        yield hers, his


async def test_a_call_is_heard_both_ways_digits_arrive_and_a_recording_holds_both_sides(alice, bob, tmp_path):
    async with talking(alice, bob) as (hers, his):
        assert hers.answered.codec == "PCMU"
        assert hers.answered.digits == "rfc4733"
        port = bob.port
        await port.execute(ops.Record(id=500, leg=his.leg, recording="call.wav", side="both", stereo=True))
        playing = asyncio.create_task(his.plays(tone_file(tmp_path / "a.wav", 440, 1.0)))
        await hers.hears_tone(440, within_s=30, lasting_s=0.8)
        assert (await playing).cause == "finished"
        await hers.plays(tone_file(tmp_path / "b.wav", 1200, 1.0))
        await his.hears_tone(1200, within_s=30, lasting_s=0.8)
        await hers.press("159#")
        await his.press("0*8D")
        for digit in "159#":
            await his.hears_digit(digit, within_s=30)
        for digit in "0*8D":
            await hers.hears_digit(digit, within_s=30)
        await port.execute(ops.Stop(id=501, target=500))
        await his._until(lambda: 500 in his._operations, "the recording", 30)
        recorded = his._operations[500]
        ended = await hers.hangup()
        assert (ended.by, ended.cause) == ("local", "bye")
        assert ended.stats.packets_sent > 100
        ended = await his.waits_ended()
        assert (ended.by, ended.cause) == ("remote", "bye")
        assert ended.stats.packets_lost == 0
        path = bob.port.recordings / "call.wav"
        said, heard = channels(path)
        assert recorded.cause == "stopped"
        assert recorded.size_bytes == path.stat().st_size
        assert recorded.duration_ms == pytest.approx(len(said) / 8, abs=1)
        assert max(tone_share(heard[n : n + 4000], 440) for n in range(0, len(heard) - 4000, 4000)) > 0.9
        assert max(tone_share(said[n : n + 4000], 1200) for n in range(0, len(said) - 4000, 4000)) > 0.9
    assert his.digits == "159#"
    assert hers.digits == "0*8D"


async def test_tcp_carries_a_call_as_udp_does(alice, bob, tmp_path):
    async with asyncio.TaskGroup() as tasks:
        answering = tasks.create_task(bob.answer_next())
        hers = await alice.call(f"{bob.uri};transport=tcp")
        his = await answering
    assert his.incoming.transport == "tcp"
    await his.plays_source(ops.ToneSource([ops.Tone(500, [800.0])]))
    await hers.hears_tone(800, within_s=30)
    await hers.hangup()
    assert (await his.waits_ended()).by == "remote"


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
async def test_the_caller_chooses_the_codec(alice, bob, codec):
    async with talking(alice, bob, codecs=(codec,)) as (hers, his):
        assert hers.answered.codec == his.answered.codec == codec
        await his.plays_source(ops.ToneSource([ops.Tone(500, [600.0])]))
        await hers.hears_tone(600, within_s=30)
        await hers.hangup()


async def test_a_codec_that_the_caller_does_not_offer_is_refused_and_the_call_can_still_be_answered(alice, bob):
    hers = await alice.dial(bob.uri, codecs=("PCMU",))
    his = await bob.rings()
    with pytest.raises(EngineRefused, match="PCMU") as refused:
        await bob.port.execute(ops.LegAnswer(id=1, leg=his.leg, codecs=["PCMA"]))
    assert refused.value.code == "not_negotiated"
    await bob.port.execute(ops.LegAnswer(id=2, leg=his.leg))
    await hers.waits_answer()
    await hers.hangup()


async def test_what_the_caller_adds_to_its_invite_arrives(alice, bob):
    hers = await alice.dial(
        bob.uri, from_uri="sip:+15550100@127.0.0.1", from_display='A "quoted" name', headers={"X-Order": "17; rush"}
    )
    his = await bob.rings()
    assert his.incoming.from_uri == "sip:+15550100@127.0.0.1"
    assert his.incoming.from_display == 'A "quoted" name'
    assert ops.Header("X-Order", "17; rush") in his.incoming.headers
    await hers.hangup()


@pytest.mark.parametrize(
    "headers", [{"X-Bad": "a\r\nVia: b"}, {"Bad Name": "x"}, {"Via": "SIP/2.0/UDP evil"}], ids=["crlf", "name", "ours"]
)
async def test_a_header_that_would_break_the_message_is_refused(alice, bob, headers):
    with pytest.raises(EngineRefused) as refused:
        await alice.dial(bob.uri, headers=headers)
    assert refused.value.code == "bad_request"
    hers = await alice.dial(bob.uri)
    await bob.rings()
    await hers.hangup()


async def test_early_media_is_told_and_the_answer_after_it_is_heard(alice, bob):
    hers = await alice.dial(bob.uri)
    his = await bob.rings()
    await bob.port.execute(ops.LegRing(id=1, leg=his.leg, early_media=True))

    def has_early_media() -> bool:
        return any(isinstance(report, reports.LegProgress) and report.early_media for report in hers.reports)

    await hers._until(has_early_media, "early media", 30)
    await bob.port.execute(ops.LegAnswer(id=2, leg=his.leg))
    await hers.waits_answer()
    await hers.listen()
    await his.plays_source(ops.ToneSource([ops.Tone(500, [900.0])]))
    await hers.hears_tone(900, within_s=30)
    await hers.hangup()


async def test_answering_twice_or_after_the_end_is_refused(alice, bob):
    async with talking(alice, bob) as (hers, his):
        for operation in (ops.LegAnswer(id=1, leg=his.leg), ops.LegRing(id=2, leg=his.leg)):
            with pytest.raises(EngineRefused) as refused:
                await bob.port.execute(operation)
            assert refused.value.code == "wrong_state"
        await hers.hangup()
        await his.waits_ended()
    with pytest.raises(EngineRefused) as refused:
        await bob.port.execute(ops.LegAnswer(id=3, leg=his.leg))
    assert refused.value.code == "unknown_leg"
    await bob.port.execute(ops.LegHangup(id=4, leg=his.leg))


async def test_a_refusal_reaches_the_caller_with_its_status_and_sentence(alice, bob):
    refusing = asyncio.create_task(bob.reject_next(486, "in another call"))
    with pytest.raises(CallFailed) as failed:
        await alice.call(bob.uri)
    assert (failed.value.ended.cause, failed.value.ended.status) == ("rejected", 486)
    assert failed.value.ended.reason == "in another call"
    ended = await (await refusing).waits_ended()
    assert (ended.by, ended.cause, ended.status) == ("local", "rejected", 486)


async def test_a_caller_who_gives_up_cancels_the_call(alice, bob):
    hers = await alice.dial(bob.uri)
    his = await bob.rings()
    await hers.hangup()
    assert (hers.ended.by, hers.ended.cause) == ("local", "cancel")
    ended = await his.waits_ended()
    assert (ended.by, ended.cause) == ("remote", "cancel")


async def test_a_call_that_is_over_before_anybody_listens_was_answered_all_the_same(alice, bob):
    hers = await alice.dial(bob.uri)
    his = await bob.answer_next()
    await his.hangup()
    assert (await hers.waits_ended()).by == "remote"
    await hers.waits_answer()
    await hers.listen()
    assert hers.hearing.length_s == 0


async def test_nobody_answers_in_time(alice, bob):
    ringing = asyncio.create_task(bob.rings())
    with pytest.raises(CallFailed) as failed:
        await alice.call(bob.uri, ring_timeout_s=0.7)
    assert failed.value.ended.cause == "timeout"
    assert (await (await ringing).waits_ended()).cause == "cancel"


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_nobody_listens_there(alice, transport):
    # The time limits of SIP are 32 s; the two seconds of it are judged where the waits for a CPU are known
    # (crates/engine/tests/signal.rs).
    async with asyncio.timeout(20):
        with pytest.raises(CallFailed) as failed:
            await alice.call(f"sip:100@127.0.0.1:9;transport={transport}")
    assert failed.value.ended.cause == "unreachable"


async def test_media_before_the_answer_is_refused_with_what_to_do(alice, bob):
    hers = await alice.dial(bob.uri)
    his = await bob.rings()
    with pytest.raises(EngineRefused, match=r"answer\(\) first"):
        await his.plays_source(ops.SilenceSource(100))
    with pytest.raises(EngineRefused, match="not answered yet"):
        await hers.plays_source(ops.SilenceSource(100))
    await hers.hangup()


async def test_a_digit_interrupts_in_the_engine_and_the_rest_is_silent(alice, bob):
    async with talking(alice, bob) as (hers, his):
        tone = ops.ToneSource([ops.Tone(1000, [440.0])], duration_ms=-1)
        await bob.port.execute(ops.Play(id=1, leg=his.leg, sources=[tone], interrupt=["digit"]))
        await hers.hears_tone(440, within_s=30)
        await hers.press("7")
        await his._until(lambda: 1 in his._operations, "the end of the play", 30)
        assert (his._operations[1].cause, his._operations[1].digit) == ("interrupted", "7")
        await hers.hears_silence(within_s=30, lasting_s=0.4)
        with pytest.raises(NotHeard):
            await hers.hears_energy(within_s=0.5)
        await hers.hangup()


async def test_pause_resume_volume_and_stop_are_heard(alice, bob):
    async with talking(alice, bob) as (hers, his):
        execute = bob.port.execute
        tone = ops.ToneSource([ops.Tone(1000, [440.0], -10.0)], duration_ms=-1)
        await execute(ops.Play(id=1, leg=his.leg, sources=[tone]))
        await hers.hears_tone(440, within_s=30)
        await execute(ops.Pause(id=2, target=1))
        await hers.hears_silence(within_s=30, lasting_s=0.3)
        await execute(ops.Resume(id=3, target=1))
        await hers.hears_tone(440, within_s=30)
        before = level_dbm0(hers.hearing.samples[-800:])
        await execute(ops.Volume(id=4, target=1, volume_db=-12))
        async with asyncio.timeout(30):
            while before - level_dbm0(hers.hearing.samples[-800:]) != pytest.approx(12, abs=1.5):
                await asyncio.sleep(0.05)
        await execute(ops.Stop(id=5, target=1))
        await hers.hears_silence(within_s=30, lasting_s=0.3)
        await his._until(lambda: 1 in his._operations, "the end of the play", 30)
        assert his._operations[1].cause == "stopped"
        with pytest.raises(EngineRefused):
            await execute(ops.Pause(id=6, target=1))
        await execute(ops.Stop(id=7, target=1))
        await hers.hangup()


async def test_operations_end_before_their_leg(alice, bob):
    async with talking(alice, bob) as (hers, his):
        silence = ops.SilenceSource(60_000)
        await bob.port.execute(ops.Play(id=1, leg=his.leg, sources=[silence]))
        await bob.port.execute(ops.Record(id=2, leg=his.leg, recording="r.wav"))
        await asyncio.sleep(0.3)
        await hers.hangup()
        await his.waits_ended()
    kinds = [type(report) for report in his.reports]
    ends = [report for report in his.reports if isinstance(report, reports.OperationEnded)]
    assert kinds[-1] is reports.LegEnded
    assert {report.op for report in ends} >= {1, 2}
    assert {report.cause for report in ends} == {"hangup"}


async def test_echo_sends_back_what_was_said(alice, bob, tmp_path):
    async with talking(alice, bob) as (hers, his):
        await bob.port.execute(ops.Echo(id=1, leg=his.leg, timeout_ms=10_000))
        await hers.plays(tone_file(tmp_path / "a.wav", 700, 0.6))
        await hers.hears_tone(700, within_s=30, lasting_s=0.4)
        await hers.hangup()


async def test_twenty_calls_at_once_are_all_heard(alice, bob):
    async def answer() -> None:
        his = await bob.answer_next(within_s=30)
        await his.plays_source(ops.ToneSource([ops.Tone(600, [500.0])]))

    async def call() -> None:
        hers = await alice.call(bob.uri)
        await hers.hears_tone(500, within_s=30)
        await hers.hangup()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(20):
            tasks.create_task(answer())
            tasks.create_task(call())


# --- a node that comes and goes ----------------------------------------------------------------------------------


async def test_a_call_outlives_its_node_and_the_next_one_is_told_everything(alice, tmp_path):
    async with running_engine() as engine:
        first, welcome = await engine.connected()
        dialling = asyncio.create_task(alice.call(f"sip:100@{welcome.sip_udp}"))
        incoming = await first.sees(reports.LegIncoming)
        leg = incoming.leg
        await first.port.execute(ops.LegAnswer(id=1, leg=leg))
        hers = await dialling
        tone = ops.ToneSource([ops.Tone(1000, [440.0])], duration_ms=-1)
        play = ops.Play(id=2, leg=leg, sources=[tone, ops.FileSource("b"), ops.FileSource("a")], more=True)
        await first.port.execute(play)
        await first.port.execute(ops.Append(4, 2, [ops.FileSource("c"), ops.FileSource("a")], False))
        first.port.send(ops.LegLabel(leg=leg, label="call-17"))
        await first.port.execute(ops.Ping(id=3))
        await first.sees(reports.OperationStarted)
        last_seq = max(report.seq for report in first.reports)
        await first.port.close()
        await hers.press("4")
        await hers.hears_tone(440, within_s=30, lasting_s=0.5)

        second = engine.controller(epoch=2**31)
        welcome = await second.start(last_seq=last_seq)
        (snapshot,) = welcome.legs
        assert (snapshot.leg, snapshot.label, snapshot.state) == (leg, "call-17", "answered")
        assert snapshot.operations == [reports.OperationSnapshot(2, "play", ["a", "b", "c"])]
        assert snapshot.answered_us >= snapshot.started_us > 0
        assert snapshot.age_ms >= snapshot.answered_ms > 0
        assert snapshot.held_ms is None
        digit = await second.sees(reports.DigitReport)
        assert digit.digit == "4"
        assert [report for report in second.reports if report.seq and report.seq <= last_seq] == []

        third = engine.controller(epoch=2**31 + 1)
        await third.start(last_seq=last_seq)
        assert (await third.sees(reports.DigitReport)).seq == digit.seq
        third.port.send(ops.Ack(digit.seq))
        await third.port.execute(ops.Ping(id=4))
        fourth = engine.controller(epoch=2**31 + 2)
        await fourth.start()
        await fourth.port.execute(ops.Stop(id=5, target=2))
        await fourth.sees(reports.OperationEnded)
        assert fourth.of(reports.DigitReport) == []
        await fourth.port.execute(ops.LegHangup(id=6, leg=leg))
        assert (await fourth.sees(reports.LegEnded)).cause == "bye"
        assert (await hers.waits_ended()).by == "remote"


async def test_without_a_node_new_calls_get_503_with_a_sentence(alice):
    async with running_engine() as engine:
        node = await RawControl.open(engine)
        node.say(ops.Hello(version=1, epoch=1, secret=engine.secret))
        welcome = await node.hears()
        node.writer.write_eof()
        while await node.hears() is not None:  # the engine closes its side when it knows that its node went
            pass
        with pytest.raises(CallFailed) as failed:
            await alice.call(f"sip:100@{welcome['sip_udp']}")
        await node.close()
        assert failed.value.ended.status == 503
        assert "application" in failed.value.ended.reason


@pytest.mark.parametrize("how", ["orphan", "lifeline", "sigterm"])
async def test_however_it_ends_the_far_party_gets_a_bye_with_a_reason(alice, how):
    async with running_engine(orphan_s=4.0 if how == "orphan" else 30.0) as engine:
        controller, welcome = await engine.connected()
        dialling = asyncio.create_task(alice.call(f"sip:100@{welcome.sip_udp}"))
        leg = (await controller.sees(reports.LegIncoming)).leg
        await controller.port.execute(ops.LegAnswer(id=1, leg=leg))
        hers = await dialling
        await controller.port.execute(ops.Record(id=2, leg=leg, recording="r.wav"))
        kept = engine.options.recordings  # while it grows the file has another name
        await until(lambda: sum(file.stat().st_size for file in kept.iterdir()) > 0.4 * 16_000, "it is recorded")
        if how == "orphan":
            await controller.port.close()
        elif how == "lifeline":
            engine.launched.let_go()
        else:
            os.kill(engine.launched.process.pid, signal.SIGTERM)
        ended = await hers.waits_ended(within_s=30)
        assert (ended.by, ended.cause, ended.status) == ("remote", "bye", 503)
        assert ended.reason == ("control lost" if how == "orphan" else "shutting down")
        assert await asyncio.wait_for(engine.launched.process.wait(), 30) == (3 if how == "orphan" else 0)
        (samples,) = channels(kept / "r.wav")
        assert len(samples) > 0.3 * 8000


async def test_a_node_that_does_not_read_loses_audio_but_no_digit_and_stops_nobody(alice):
    listens = 16
    async with running_engine() as engine:
        deaf = await RawControl.open(engine)
        deaf.say(ops.Hello(version=1, epoch=1, secret=engine.secret))
        welcome = await deaf.hears()
        dialling = asyncio.create_task(alice.call(f"sip:100@{welcome['sip_udp']}"))
        while (report := await deaf.hears())["report"] != "leg_incoming":
            pass
        leg = report["leg"]
        deaf.say(ops.LegAnswer(id=1, leg=leg))
        hers = await dialling
        for number in range(listens):
            deaf.say(ops.Listen(id=100 + number, leg=leg, side="both", block_ms=20, credit_ms=500))
        deaf.say(ops.Echo(id=2, leg=leg, timeout_ms=60_000))
        for _ in range(40):
            for number in range(listens):
                deaf.say(ops.Credit(target=100 + number, ms=200))
            await asyncio.sleep(0.2)
        await hers.press("5")
        tone = ops.ToneSource([ops.Tone(600, [440.0])])
        await hers.plays_source(tone)
        await hers.hears_tone(440, within_s=30)
        await hers.press("6")

        heard: dict[int, int] = {}
        digits: list[str] = []
        has_gap = False
        async with asyncio.timeout(60):
            while not has_gap or len(digits) < 2:
                report = await deaf.hears()
                if report["report"] == "digit":
                    digits.append(report["digit"])
                    for number in range(listens):
                        deaf.say(ops.Credit(target=100 + number, ms=500))
                elif report["report"] == "audio":
                    has_gap = has_gap or report["offset_ms"] > heard.get(report["op"], 0)
                    heard[report["op"]] = report["offset_ms"] + 20
        assert digits == ["5", "6"]
        deaf.say(ops.LegHangup(id=3, leg=leg))
        assert (await hers.waits_ended()).by == "remote"
        await deaf.close()
