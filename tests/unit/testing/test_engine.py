from __future__ import annotations

import asyncio
import wave

import pytest

from offhook.errors import EngineLost, EngineRefused
from offhook.node.engine import ops, reports
from offhook.testing.engine import FakeEngine, Peer

pytestmark = pytest.mark.virtual_clock


@pytest.fixture
async def engine(tmp_path):
    engine = FakeEngine(tmp_path)
    await engine.start(lambda report: None)
    return engine


async def answered(engine: FakeEngine) -> str:
    leg = engine.ring_in()
    await engine.execute(ops.LegAnswer(id=engine.next_id(), leg=leg))
    return leg


def came(engine: FakeEngine, kind: type) -> list:
    return [report for report in engine.reports if isinstance(report, kind)]


def ended(engine: FakeEngine) -> dict[int, reports.OperationEnded]:
    return {report.op: report for report in came(engine, reports.OperationEnded)}


async def test_a_play_starts_a_tick_later_and_lasts_as_long_as_its_sources(engine):
    leg = await answered(engine)
    tone = ops.ToneSource(cadence=[ops.Tone(duration_ms=400), ops.Tone(duration_ms=600)], duration_ms=2500)
    play = ops.Play(id=7, leg=leg, sources=[ops.SilenceSource(1000), tone], loops=2)
    await engine.execute(play)
    assert not came(engine, reports.OperationStarted)
    await asyncio.sleep(8)
    assert ended(engine)[7].cause == "finished"
    assert ended(engine)[7].duration_ms == pytest.approx(7000, abs=1)


async def test_pausing_stretches_a_play_by_the_pause(engine):
    leg = await answered(engine)
    await engine.execute(ops.Play(id=1, leg=leg, sources=[ops.SilenceSource(1000)]))
    await asyncio.sleep(0.5)
    await engine.execute(ops.Pause(id=2, target=1))
    await asyncio.sleep(10)
    assert not ended(engine)
    await engine.execute(ops.Resume(id=3, target=1))
    await asyncio.sleep(0.6)
    assert ended(engine)[1].cause == "finished"


async def test_a_digit_interrupts_and_names_itself(engine):
    leg = await answered(engine)
    await engine.execute(ops.Play(id=1, leg=leg, sources=[ops.SilenceSource(5000)], interrupt=["digit"]))
    await asyncio.sleep(1)
    engine.press(leg, "4")
    assert (ended(engine)[1].cause, ended(engine)[1].digit) == ("interrupted", "4")


async def test_a_recording_ends_by_silence_after_speech_and_its_file_is_as_long(engine):
    leg = await answered(engine)
    record = ops.Record(id=1, leg=leg, recording="r.wav", initial_timeout_ms=3000, end_silence_timeout_ms=2000)
    await engine.execute(record)
    await asyncio.sleep(2)
    engine.speak(leg, 4)
    await asyncio.sleep(10)
    end = ended(engine)[1]
    assert end.cause == "silence"
    with wave.open(str(engine.recordings / "r.wav")) as audio:
        assert audio.getnframes() / 8 == pytest.approx(end.duration_ms, abs=1)
    assert end.duration_ms == pytest.approx(8000, abs=25)


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"initial_timeout_ms": 500}, "no_input"),
        ({"max_length_ms": 700}, "max_length"),
        ({"terminators": "#"}, "terminator"),
    ],
)
async def test_each_end_of_a_recording(engine, options, cause):
    leg = await answered(engine)
    await engine.execute(ops.Record(id=1, leg=leg, recording="r.wav", **options))
    await asyncio.sleep(1)
    engine.press(leg, "1#")
    assert ended(engine)[1].cause == cause


async def test_operations_end_before_their_leg_and_the_leg_once(engine):
    leg = await answered(engine)
    await engine.execute(ops.Echo(id=1, leg=leg, timeout_ms=60_000))
    engine.hang_up(leg)
    engine.hang_up(leg)
    kinds = [type(report) for report in engine.reports]
    assert kinds[-2:] == [reports.OperationEnded, reports.LegEnded]
    assert kinds.count(reports.LegEnded) == 1


async def test_media_before_answer_is_refused(engine):
    leg = engine.ring_in()
    with pytest.raises(EngineRefused, match="answer") as refused:
        await engine.execute(ops.Play(id=1, leg=leg, sources=[ops.SilenceSource(100)]))
    assert refused.value.code == "wrong_state"


@pytest.mark.parametrize(
    ("peer", "cause", "status"),
    [
        (Peer(answer_after_s=None), "timeout", 408),
        (Peer(status=486, reason="Busy Here"), "rejected", 486),
    ],
)
async def test_a_dialled_peer_behaves_as_scripted(engine, peer, cause, status):
    engine.peers["sip:bob@example.com"] = peer
    dial = ops.LegDial(
        id=1, leg="L", to_uri="sip:bob@example.com", from_uri="sip:me@example.com", destination="127.0.0.1:5060"
    )
    await engine.execute(dial)
    await asyncio.sleep(60)
    (end,) = came(engine, reports.LegEnded)
    assert (end.cause, end.status) == (cause, status)


async def test_kept_reports_come_again_after_a_loss_until_they_are_acked(engine):
    lost, seen = [], []
    await engine.start(seen.append, on_lost=lost.append)
    leg = await answered(engine)
    engine.lose()
    assert len(lost) == 1
    engine.press(leg, "5")
    with pytest.raises(EngineLost):
        await engine.execute(ops.Ping(id=9))
    again = []
    welcome = await engine.start(again.append, last_seq=seen[-1].seq)
    assert [entry.leg for entry in welcome.legs] == [leg]
    assert again == []
    await asyncio.sleep(0)
    assert [report.digit for report in again] == ["5"]
    engine.send(ops.Ack(seq=again[-1].seq))
    assert engine.kept == []


async def test_a_growing_prompt_ends_where_prompt_done_says(engine):
    leg = await answered(engine)
    (engine.prompts / "p.pcm").write_bytes(bytes(1600))
    source = ops.FileSource("p.pcm", "pcm_s16le", growing=True)
    await engine.execute(ops.Play(id=1, leg=leg, sources=[source]))
    await asyncio.sleep(1)
    assert not ended(engine)
    await engine.execute(ops.PromptDone(id=2, prompt="p.pcm", size_bytes=48_000))
    await asyncio.sleep(2.1)
    assert ended(engine)[1].duration_ms == pytest.approx(3000, abs=1)


async def test_a_missing_prompt_ends_the_play_with_error_when_its_turn_comes(engine):
    leg = await answered(engine)
    await engine.execute(ops.Play(id=1, leg=leg, sources=[ops.FileSource("nobody-made-this")]))
    await engine.execute(ops.Play(id=2, leg=leg, sources=[ops.SilenceSource(500)], more=True))
    await engine.execute(ops.Append(id=3, target=2, sources=[ops.FileSource("nor-this")], more=False))
    await asyncio.sleep(0.1)
    assert [report.op for report in came(engine, reports.OperationStarted)] == [2]
    await asyncio.sleep(1)
    ends = ended(engine)
    assert [(ends[op].cause, "No such file" in ends[op].detail) for op in (1, 2)] == [("error", True)] * 2
