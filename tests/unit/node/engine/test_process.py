"""The node's end of the control socket against a scripted engine, on a virtual clock."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import tempfile
from pathlib import Path

import msgspec
import pytest
import uvloop

from offhook.errors import EngineLost, EngineRefused
from offhook.node.engine import ops, reports
from offhook.node.engine.process import EngineProcess

pytestmark = pytest.mark.virtual_clock

WELCOME = reports.Welcome(version=1, boot="b", sip_udp="127.0.0.1:1", sip_tcp="127.0.0.1:1")


def framed(message: object) -> bytes:
    body = msgspec.msgpack.encode(message)
    return struct.pack(">I", len(body)) + body


class ScriptedEngine:
    """Answers each hello with a welcome and what stands in ``after_welcome``; keeps what it was told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[ops.AnyOperation] = []
        self.first: object = WELCOME
        self.after_welcome = b""
        self.replies = True
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                operation = msgspec.msgpack.decode(await reader.readexactly(length), type=ops.AnyOperation)
                self.told.append(operation)
                if isinstance(operation, ops.Hello):
                    writer.write((framed(self.first) if self.first else b"") + self.after_welcome)
                elif self.replies and hasattr(operation, "id"):
                    writer.write(framed(reports.Reply(op=operation.id)))
        writer.close()


@pytest.fixture
async def engine():
    with tempfile.TemporaryDirectory(prefix="oh-") as directory:
        scripted = ScriptedEngine(Path(directory) / "s")
        server = await asyncio.start_unix_server(scripted.serve, str(scripted.path))
        yield scripted
        server.close()
        for writer in scripted.writers:
            writer.close()


def port(engine: ScriptedEngine, **options) -> EngineProcess:
    return EngineProcess(engine.path, bytes(32), prompts=Path(), recordings=Path(), **options)


def ignore(_: object) -> None:
    pass


async def test_reports_come_after_the_snapshot_was_seen_and_in_order(engine):
    digits = [reports.DigitReport(seq=n, leg="L", digit=str(n), method="info") for n in range(1, 6)]
    engine.after_welcome = b"".join(framed(digit) for digit in digits)
    seen: list[object] = []
    welcome = await port(engine).start(seen.append, last_seq=3)
    assert seen == []
    assert welcome == WELCOME
    await asyncio.sleep(0.01)
    assert seen == digits
    assert engine.told[0].last_seq == 3


async def test_a_snapshot_of_more_legs_than_fit_a_frame_comes_in_parts_and_is_one_to_who_asked(engine):
    """The welcome of 2000 calls was one frame beyond 1 MiB: no node could take them, and all were hung up."""
    legs = [reports.LegSnapshot(str(n), "inbound", "answered", "", "", "l" * 4000) for n in range(600)]
    parts = [
        msgspec.structs.replace(WELCOME, legs=legs[start : start + 200], more=start < 400) for start in (0, 200, 400)
    ]
    engine.first = parts[0]
    engine.after_welcome = b"".join(map(framed, parts[1:])) + framed(
        reports.DigitReport(seq=1, leg="0", digit="1", method="info")
    )
    seen: list[object] = []
    welcome = await port(engine).start(seen.append)
    assert welcome == msgspec.structs.replace(WELCOME, legs=legs)
    await asyncio.sleep(0.01)
    assert len(seen) == 1


async def test_every_start_says_a_newer_epoch_and_ids_never_repeat(engine):
    process = port(engine, epoch=7)
    await process.start(ignore)
    first = [process.next_id() for _ in range(3)]
    await process.start(ignore)
    assert [hello.epoch for hello in engine.told] == [7, 8]
    assert len({*first, process.next_id()}) == 4
    assert first[0] >> 32 == 7


async def test_frames_in_any_pieces_are_put_together(engine):
    digits = [reports.DigitReport(seq=n, leg="L", digit="1", method="info") for n in range(1, 4)]
    seen: list[object] = []
    process = port(engine)
    await process.start(seen.append)
    data = b"".join(framed(digit) for digit in digits)
    for index in range(len(data)):
        engine.writers[0].write(data[index : index + 1])
        await asyncio.sleep(0.001)
    assert seen == digits


async def test_a_refusal_is_an_error_with_its_slug(engine):
    engine.replies = False
    process = port(engine)
    await process.start(ignore)
    waiting = asyncio.create_task(process.execute(ops.Ping(id=5)))
    await asyncio.sleep(0.01)
    engine.writers[0].write(framed(reports.Reply(op=4)))
    engine.writers[0].write(framed(reports.Reply(op=5, error=reports.Failure("no_capacity", "too many legs"))))
    with pytest.raises(EngineRefused, match="too many legs") as refused:
        await waiting
    assert refused.value.code == "no_capacity"


async def test_an_engine_that_never_replies_is_an_error_in_time(engine):
    engine.replies = False
    process = port(engine, reply_timeout_s=10)
    await process.start(ignore)
    began = asyncio.get_running_loop().time()
    with pytest.raises(EngineLost, match="10 s"):
        await process.execute(ops.Ping(id=5))
    assert asyncio.get_running_loop().time() - began == pytest.approx(10, abs=0.1)


async def test_a_loss_fails_who_waits_and_is_told_once(engine):
    engine.replies = False
    process = port(engine)
    lost: list[EngineLost] = []
    await process.start(ignore, on_lost=lost.append)
    waiting = asyncio.create_task(process.execute(ops.Ping(id=5)))
    await asyncio.sleep(0.01)
    engine.writers[0].close()
    with pytest.raises(EngineLost):
        await waiting
    assert len(lost) == 1
    with pytest.raises(EngineLost):
        await process.execute(ops.Ping(id=6))
    process.send(ops.Ack(1))
    engine.replies = True
    await process.start(ignore)
    await process.execute(ops.Ping(id=7))


@pytest.mark.parametrize(
    "garbage", [b"\xff\xff\xff\xff", struct.pack(">I", 3) + b"\xc1\xc1\xc1", framed({"report": "unheard_of"})]
)
async def test_an_engine_that_breaks_the_protocol_is_let_go(engine, garbage):
    process = port(engine)
    lost: list[EngineLost] = []
    await process.start(ignore, on_lost=lost.append)
    engine.writers[0].write(garbage)
    await asyncio.sleep(0.1)
    assert len(lost) == 1
    assert "frame" in str(lost[0])


async def test_a_label_leaves_before_a_client_can_be_told_of_what_it_says(engine):
    """It waited 10 ms: the play of a node that was killed right after `playing` was ended with `error` by the next."""
    process = port(engine)
    await process.start(ignore)
    process.send(ops.LegLabel("L", "what goes on"))
    for _ in range(100):  # turns of the loop, in which its clock stands still
        await asyncio.sleep(0)
    assert engine.told[1:] == [ops.LegLabel("L", "what goes on")]
    process.send(ops.Ack(1), patient=True)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(engine.told) == 2, "what is patient waits for company"
    await asyncio.sleep(0.011)
    assert engine.told[2:] == [ops.Ack(1)]
    await process.close()


async def test_what_is_sent_in_two_turns_leaves_in_one_write_and_in_order(engine):
    """Each write wakes the engine."""
    process = port(engine)
    await process.start(ignore)
    connection = process._connection
    assert connection is not None
    assert connection._transport is not None
    writes: list[int] = []
    write = connection._transport.write
    connection._transport.write = lambda data: (writes.append(len(data)), write(data))  # type: ignore[method-assign]
    process.send(ops.Ack(1), patient=True)
    process.send(ops.LegLabel("L", "an action"))
    await asyncio.sleep(0)
    process.send(ops.LegLabel("L", "its operation"), patient=True)
    await process.execute(ops.LegHangup(process.next_id(), "L"))
    assert [type(told).__name__ for told in engine.told[1:]] == ["Ack", "LegLabel", "LegLabel", "LegHangup"]
    assert len(writes) == 1
    await process.close()


def test_what_waited_for_company_when_the_engine_went_does_not_keep_it_from_coming_back(tmp_path):
    """On the node's own loop, whose closed sockets refuse to be written to."""

    async def scenario() -> None:
        scripted = ScriptedEngine(tmp_path / "s")
        server = await asyncio.start_unix_server(scripted.serve, str(scripted.path))
        process, lost = port(scripted), asyncio.Event()
        await process.start(ignore, on_lost=lambda _: lost.set())
        scripted.writers[0].transport.abort()
        process.send(ops.Ack(1))
        await asyncio.wait_for(lost.wait(), 30)
        process.send(ops.Ack(2))
        assert await asyncio.wait_for(process.start(ignore), 30) == WELCOME
        await process.execute(ops.LegHangup(process.next_id(), "L"))
        await process.close()
        server.close()
        scripted.writers[-1].close()

    uvloop.run(scenario())


async def test_an_operation_that_cannot_be_written_leaves_nothing_of_itself(engine):
    process = port(engine)
    await process.start(ignore)
    with pytest.raises(OverflowError):
        process.send(ops.LegHangup(process.next_id(), "L", status=10**30))
    await process.execute(ops.LegHangup(process.next_id(), "L"))
    assert [type(told) for told in engine.told] == [ops.Hello, ops.LegHangup]


async def test_letting_go_is_no_loss(engine):
    process = port(engine)
    lost: list[EngineLost] = []
    await process.start(ignore, on_lost=lost.append)
    await process.close()
    await asyncio.sleep(0.1)
    assert lost == []


async def test_a_refused_hello_says_why(engine):
    engine.first = reports.Reply(op=0, error=reports.Failure("wrong_state", "start with a newer epoch"))
    with pytest.raises(EngineLost, match="newer epoch"):
        await port(engine).start(ignore)


async def test_an_engine_that_says_nothing_or_is_not_there_is_an_error_in_time(engine):
    engine.first = None
    with pytest.raises(EngineLost, match="hello"):
        await port(engine).start(ignore)
    nobody = EngineProcess(engine.path.with_name("nobody"), b"", prompts=Path(), recordings=Path())
    with pytest.raises(EngineLost, match="listens"):
        await nobody.start(ignore)


async def test_an_engine_that_comes_late_is_waited_for(engine):
    late = engine.path.with_name("late")
    process = EngineProcess(late, bytes(32), prompts=Path(), recordings=Path())
    starting = asyncio.create_task(process.start(ignore))
    await asyncio.sleep(3)
    server = await asyncio.start_unix_server(engine.serve, str(late))
    assert await starting == WELCOME
    server.close()


async def test_an_operation_that_does_not_fit_a_frame_is_refused_here(engine):
    process = port(engine)
    await process.start(ignore)
    with pytest.raises(ValueError, match="1 MiB"):
        process.send(ops.Pcm(stream=1, samples=bytes(1 << 20)))
    with pytest.raises(TypeError, match="send"):
        await process.execute(ops.Ack(1))


async def test_an_operation_that_does_not_fit_and_would_be_replied_to_is_refused_like_any_other(engine):
    """A dial of more than 1 MiB failed in a way that nobody caught, and its call never ended."""
    process = port(engine)
    await process.start(ignore)
    headers = [ops.Header("X-Long", "a" * (1 << 20))]
    with pytest.raises(EngineRefused, match="1 MiB"):
        await process.execute(ops.LegDial(process.next_id(), "L", "sip:b@h", "sip:a@h", "127.0.0.1:1", headers=headers))
    with pytest.raises(EngineRefused):
        await process.execute(ops.LegHangup(process.next_id(), "L", status=10**30))
    await process.execute(ops.Ping(process.next_id()))


async def test_a_report_that_nobody_can_handle_keeps_no_other_one_back(engine):
    """The rest of what was read with it was read again, or never."""
    digits = [reports.DigitReport(seq=n, leg="L", digit=str(n), method="info") for n in range(1, 6)]
    engine.after_welcome = b"".join(framed(digit) for digit in digits[:2])
    seen: list[object] = []

    def sink(report: object) -> None:
        if report in (digits[0], digits[2]):
            raise RuntimeError("scripted")
        seen.append(report)

    process = port(engine)
    await process.start(sink)
    await asyncio.sleep(0.01)
    engine.writers[0].write(b"".join(framed(digit) for digit in digits[2:]))
    await asyncio.sleep(0.01)
    assert seen == [digits[1], digits[3], digits[4]]
    assert process._connection.failures == 2
    await process.execute(ops.Ping(process.next_id()))
