"""The probe against a scripted callee of our own: only then may it judge a node."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from rig import audio, plc
from rig.chopper import Chopper
from rig.cpu import MOST_EXCUSED_S, CpuWaits, Look, Stopwatch, excused_s
from rig.dialog import Caller
from rig.fixtures import Talk
from rig.load import Load
from rig.node import ROOT, NodeProcess, processes_of
from rig.ports import free_ports
from rig.responder import Responder
from rig.rtp import Packet, gaps_ms, missing
from rig.sip import build


@pytest.fixture
async def call() -> AsyncIterator[tuple[Caller, Responder]]:
    responder = await Responder.open()
    caller = await Caller.open(("127.0.0.1", responder.sip.port))
    caller.invite()
    await responder.offered()
    responder.ring()
    responder.answer()
    await caller.accept()
    await responder.acknowledged()
    yield caller, responder
    caller.close()
    responder.close()


@pytest.mark.parametrize("payload_type", [0, 8])
def test_g_711_is_that_of_ffmpeg(tmp_path: Path, payload_type: int) -> None:
    said = np.random.default_rng(1).integers(-(1 << 15), 1 << 15, 8000).astype(np.int16)
    audio.write_wav(tmp_path / "said.wav", said)
    made = tmp_path / "made.wav"
    codec = {0: "pcm_mulaw", 8: "pcm_alaw"}[payload_type]
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", tmp_path / "said.wav", "-c:a", codec, made], check=True, capture_output=True
    )
    assert made.read_bytes().endswith(audio.encode(said, payload_type))
    assert (audio.read_wav(made)[0] == audio.ideal(said, payload_type)).all()


class Waited:
    """The waits of an engine for a CPU, as they are said to be."""

    def __init__(self, waited_s: float) -> None:
        self.waited_s = waited_s

    def between(self, begin: float, end: float) -> float:
        return self.waited_s


@pytest.mark.parametrize(
    ("ahead", "passed_s", "waited_s", "is_whole"),
    [
        (160, 0.02, 0.0, True),
        (1120, 0.14, 0.13, True),
        (1120, 0.14, 0.01, False),  # the engine stood still by itself
        (1120, 0.02, 0.02, False),  # a jump ahead of the time
        (160 * 50, 0.14, 0.13, False),
        (1000, 0.125, 0.12, False),  # no whole packets
    ],
)
def test_what_the_machine_kept_the_engine_from_sending_is_no_break(
    ahead: int, passed_s: float, waited_s: float, is_whole: bool
) -> None:
    packets = [
        Packet(
            at=at,
            source=("127.0.0.1", 4000),
            payload_type=0,
            marker=False,
            sequence=n,
            timestamp=ts,
            ssrc=7,
            payload=b"",
        )
        for n, (at, ts) in enumerate([(5.0, 1000), (5.0 + passed_s, 1000 + ahead)])
    ]
    assert (missing(packets, cast(CpuWaits, Waited(waited_s))) == []) is is_whole
    assert (missing(packets) == []) is (ahead == 160)


@pytest.mark.parametrize(
    ("waits", "excused"),
    [
        ([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], 0.0),
        ([[0.0, 0.4, 0.4], [0.0, 0.0, 0.0]], 0.4),
        ([[0.0, 0.4, 0.4], [0.0, 0.4, 0.4]], 0.4),  # at once
        ([[0.0, 0.4, 0.4], [0.0, 0.0, 0.4]], 0.8),  # one after the other
        ([[0.0, 0.0, 1.5], [0.0, 0.4, 0.4]], 1.5),  # the long one is told when it is over
        ([[0.0, 9.0, 9.0], [0.0, 9.0, 9.0]], 1.0),  # before the time that is judged
    ],
)
def test_what_processes_wait_for_a_cpu_at_once_is_excused_once(waits: list[list[float]], excused: float) -> None:
    """The waits of node, engine and test were added up: a timer that fired twice as late as promised was in time."""
    looks = [Look(float(at), [{1: wait, 2: 0.0} for wait in each]) for at, each in enumerate(zip(*waits, strict=True))]
    assert excused_s(looks, 0.0, 2.0) == pytest.approx(excused)


def test_what_the_threads_of_a_process_wait_one_after_the_other_is_not_added_up() -> None:
    looks = [Look(0.0, [{1: 0.0, 2: 0.0}]), Look(1.0, [{1: 0.3, 2: 0.0}]), Look(2.0, [{1: 0.3, 2: 0.4, 3: 0.1}])]
    assert excused_s(looks, 0.0, 2.0) == pytest.approx(0.4)


def test_a_machine_is_not_taken_for_slower_than_any_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, waited = Stopwatch(), [0.0, 60.0]
    monkeypatch.setattr("rig.cpu.waited_s", lambda _pid: {1: waited.pop(0) if len(waited) > 1 else waited[0]})
    began = clock.start()
    assert clock.took(began - 10.0, began) >= 10.0 - MOST_EXCUSED_S
    monkeypatch.undo()
    began = clock.start()
    assert clock.took(began, began + 1.0) <= 1.0


@pytest.mark.judges_time
async def test_a_played_tone_arrives_whole_and_at_the_ideal_snr(call: tuple[Caller, Responder]) -> None:
    caller, responder = call
    mark = caller.rtp.mark()
    played = audio.tone(440, 1.0)
    responder.rtp.play(played)
    await responder.rtp.has_said_all()
    await caller.rtp.hears(5, caller.rtp.mark())
    heard = caller.rtp.heard(mark)
    assert caller.rtp.broken(mark) == []
    assert max(gaps_ms(heard)) < 100 + responder.rtp.behind_s * 1000
    received = caller.rtp.samples(mark)
    snr, _ = audio.aligned_snr_db(played, received)
    best, _ = audio.aligned_snr_db(played, audio.ideal(played, 0))
    assert snr == pytest.approx(best, abs=0.1)
    [(begin, end)] = audio.bursts(received, 440)
    assert end - begin == pytest.approx(8000, abs=80)
    assert audio.tone_share(received[begin + 100 : end - 100], 440) > 0.95


@pytest.mark.parametrize("marker", [True, False])
async def test_a_digit_is_one_event_of_one_timestamp(call: tuple[Caller, Responder], marker: bool) -> None:
    caller, responder = call
    caller.rtp.digit("5", marker=marker)
    caller.rtp.digit("#", marker=marker)
    await caller.rtp.has_said_all()
    await responder.rtp.hears(1, responder.rtp.mark())  # what comes behind them
    events = [p for p in responder.rtp.packets if p.payload_type == 101]
    assert responder.rtp.digits() == "5#"
    assert any(p.marker for p in events) is marker
    assert sum(1 for p in events if p.payload[1] & 128) == 6


async def test_seeded_loss_and_delay_are_what_was_asked_for(call: tuple[Caller, Responder]) -> None:
    caller, responder = call
    dice = np.random.default_rng(7)
    caller.rtp.impair = lambda _n: None if dice.random() < 0.1 else float(dice.uniform(0.02, 0.06))
    mark = responder.rtp.mark()
    await responder.rtp.hears(90, mark)
    got = responder.rtp.packets[mark:]
    places = [((p.sequence - got[0].sequence + 0x8000) & 0xFFFF) for p in got[:90]]  # they overtake each other
    sent = max(places) - min(places) + 1
    assert 80 / 100 < 90 / sent < 97 / 100
    assert np.std(gaps_ms(got)) > 8


async def test_what_has_come_is_looked_at_though_the_thread_that_reads_it_had_no_cpu(
    call: tuple[Caller, Responder],
) -> None:
    """What was said before a mark was taken for what came after it."""
    _, responder = call
    with responder.rtp._lock:  # its thread waits for that
        read = len(responder.rtp.packets)
        await asyncio.sleep(0.5)
        assert responder.rtp.mark() > read + 3


async def test_hanging_up_is_answered(call: tuple[Caller, Responder]) -> None:
    caller, responder = call
    answer, _ = await asyncio.gather(caller.bye(), responder.ended())
    assert answer.status == 200


def came(responder: Responder, method: str) -> int:
    return responder.sip.count(lambda m: not m.status and m.method == method)


async def test_what_was_lost_on_the_way_is_sent_again(call: tuple[Caller, Responder]) -> None:
    """One datagram that the machine dropped failed the test that waited for its answer."""
    caller, responder = call
    responder.answer()  # as if the ACK had been lost
    await responder.acknowledged()
    for method in ("INVITE", "BYE"):
        caller.request(method)
        first, again = [await responder.sip.request(method) for _ in range(2)]
        assert again.get("Via") == first.get("Via")
        assert again.at - first.at > 0.45, "RFC 3261, 17.1: T1 is half a second"
        responder.sip.respond(again, 500, "No")
        assert (await caller.response(method)).status == 500
        await asyncio.sleep(0.1)  # what went before that is read
        sent = came(responder, method)
        await asyncio.sleep(1.5)
        assert came(responder, method) == sent, "what was answered is sent no more"


async def test_an_answer_that_was_lost_is_given_again(call: tuple[Caller, Responder]) -> None:
    caller, responder = call
    await asyncio.gather(responder.bye(), caller.ended_by_node())
    bye = next(m for m in caller.sip.inbox if not m.status and m.method == "BYE")
    responder.sip.send(build(bye.start, bye.fields[:-1]), ("127.0.0.1", caller.sip.port))
    await responder.sip.expect(lambda m: m.status == 200 and m.method == "BYE", what="the same answer again")


async def test_who_counts_what_is_sent_gets_it_once(call: tuple[Caller, Responder]) -> None:
    caller, responder = call
    caller.repeats = False
    caller.request("BYE")
    await responder.sip.request("BYE")
    responder.answer()
    await caller.sip.expect(lambda m: m.status == 200 and m.method == "INVITE", what="the 200 again")
    await asyncio.sleep(0.8)
    assert (came(responder, "BYE"), came(responder, "ACK")) == (1, 1)


def test_ports_that_are_free_together_are_different_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone whose console and SIP had drawn one port did not start."""
    one, other = free_ports(2)
    drawn = iter([one, one, one, other])
    monkeypatch.setattr("offhook.node.processes.port_numbers.random.choice", lambda _ports: next(drawn))
    assert free_ports(2) == [one, other]


async def test_the_chopper_cuts_after_its_budget_and_then_lets_live() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    remote = server.sockets[0].getsockname()[:2]
    async with Chopper(remote, seed=1, cuts_wanted=2, early=(50, 150), early_share=1.0) as chopper:
        chopper.armed = True
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", chopper.port)
            got = 0
            try:
                for _ in range(40):
                    writer.write(b"0123456789")
                    got += len(await asyncio.wait_for(reader.readexactly(10), 30))
            except (asyncio.IncompleteReadError, ConnectionError):
                assert got < 150
            writer.close()
        assert chopper.cuts == 2
        assert got == 400
    server.close()


def test_the_judge_of_concealment_finds_what_was_lost_and_what_came_late(tmp_path: Path) -> None:
    said = audio.ideal(audio.speech("The judge itself must be judged before it judges others.", tmp_path / "s.wav"), 0)
    shifted = np.concatenate([audio.silence(0.3), said])
    assert plc.judge(said, shifted, []) == (0.0, 0.0)
    gone = list(range(20, len(said) // 160, 15))
    zeroed = shifted.copy()
    for number in gone:
        zeroed[2400 + number * 160 : 2400 + (number + 1) * 160] = 0
    late, error = plc.judge(said, zeroed, gone)
    assert late < 0.005
    assert error > plc.spandsp_error_db(said, gone) > 1.0
    late, _ = plc.judge(said, zeroed, [])
    assert late > 0.02


def test_a_test_process_that_is_killed_leaves_no_node(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom rig.node import running_node\n"
        "with running_node(Path(sys.argv[1])):\n    print('ready', flush=True)\n    time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'src'}"}
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as tests:
        assert tests.stdout
        assert tests.stdout.readline() == b"ready\n"
        family = [stat.pid for stat in processes_of(tests.pid)]
        assert len(family) > 3
        tests.kill()
    left = NodeProcess.left_of(family, within_s=15)
    for stat in left:
        os.kill(stat.pid, signal.SIGKILL)
    assert left == []


async def test_the_load_generator_counts_what_became_of_its_calls() -> None:
    responder = await Responder.open()
    load, began = Load(("127.0.0.1", responder.sip.port), rate=50, calls=1, hold_s=1.5, limit_s=30), time.monotonic()
    running = asyncio.create_task(asyncio.to_thread(load.run))
    await responder.offered()
    responder.rtp.play(audio.tone(440, 0.3))  # before the answer: the call is held for so long, and no longer
    responder.answer()
    await responder.acknowledged()
    await responder.ended()
    [call] = await running
    assert call.failure == ""
    passed_s = time.monotonic() - began
    assert 0 < call.answered_at - call.invited_at < passed_s
    assert 0 < call.audible_at - call.answered_at < passed_s
    assert call.received > 15
    assert call.lost == 0
    responder.close()


async def test_an_engine_that_stands_still_is_not_taken_for_a_busy_machine(talk: Talk) -> None:
    engine, mark = talk.relay.node.engine().pid, talk.caller.rtp.mark()
    await talk.caller.rtp.hears(5, mark)
    os.kill(engine, signal.SIGSTOP)
    await asyncio.sleep(2)  # longer than a busy machine keeps a thread waiting
    stopped = talk.caller.rtp.mark()
    os.kill(engine, signal.SIGCONT)
    await talk.caller.rtp.hears(5, stopped)
    assert talk.caller.rtp.largest_stop_ms(mark) > 200
