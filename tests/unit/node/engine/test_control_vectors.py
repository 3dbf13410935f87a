"""Both sides of the control protocol have the same words; see ``vectors/control/README.md``."""

from __future__ import annotations

import os
import struct
import typing
from pathlib import Path

import msgspec
import pytest

from offhook.node.engine import ops, reports

VECTORS = Path(__file__).parents[4] / "vectors" / "control"

HEADERS = [ops.Header("X-One", "1"), ops.Header("Subject", "two")]
SOURCES: list[ops.Source] = [
    ops.FileSource("a.pcm", "pcm_s16le", 16000, True),
    ops.ToneSource([ops.Tone(400, [440.0, 480.0], -10.5)], -1),
    ops.SilenceSource(250),
    ops.PcmSource(5, 24000),
]
STATS = reports.LegStats("L", 1, 2, 3, 4, 5, 6, 7, 1.5, 2.25, 80)

OPERATIONS: list[ops.AnyOperation] = [
    ops.Hello(1, 2**31, bytes(range(32)), 7, True),
    ops.Ack(9),
    ops.Ping(2**40),
    ops.LegDial(
        2, "L", "sip:b@h", "sip:a@h", "127.0.0.1:5060", "tcp", "Alice", HEADERS, ["PCMA", "PCMU"], 12_000, "label", 4000
    ),
    ops.LegRing(3, "L", True),
    ops.LegAnswer(4, "L", ["PCMA"]),
    ops.LegHangup(5, "L", 486, "busy"),
    ops.LegLabel("L", "opaque"),
    ops.Play(6, "L", SOURCES, "both", -3.5, 0, True, ["digit", "speech"]),
    ops.Append(7, 6, SOURCES, True),
    ops.Record(8, "L", "r.wav", "both", True, True, 100, 200, 300, "#*", 50.5),
    ops.SendDigits(9, "L", "12w#", 80, 60),
    ops.Echo(10, "L", 1000),
    ops.Listen(11, "L", "both", 40, 200),
    ops.Credit(11, 100),
    ops.Pcm(5, b"\x00\x01\xff", True),
    ops.Pause(12, 8, "silence"),
    ops.Resume(13, 8),
    ops.Volume(14, 6, 2.5),
    ops.Stop(15, 6),
    ops.PromptDone(16, "a.pcm", -1),
]

REPORTS: list[reports.AnyReport] = [
    reports.Welcome(
        seq=1,
        at_us=2,
        version=1,
        boot="b",
        sip_udp="127.0.0.1:5060",
        sip_tcp="127.0.0.1:5061",
        legs=[
            reports.LegSnapshot(
                "L",
                "outbound",
                "answered",
                "sip:a@h",
                "sip:b@h",
                "label",
                3,
                4,
                [reports.OperationSnapshot(6, "play", ["tts-1"])],
                "PCMA",
                5,
                6,
                7,
            )
        ],
        more=True,
    ),
    reports.Reply(seq=1, at_us=2, op=3, error=reports.Failure("wrong_state", "answer() first")),
    reports.LegIncoming(
        seq=1,
        at_us=2,
        leg="L",
        transport="tcp",
        source="127.0.0.1:4",
        sip_call_id="c",
        request_uri="sip:b@h",
        from_uri="sip:a@h",
        to_uri="sip:b@h",
        from_display="Alice",
        headers=HEADERS,
        codecs=["PCMU"],
    ),
    reports.LegProgress(seq=1, at_us=2, leg="L", status=183, reason="Session Progress", early_media=True),
    reports.LegAnswered(seq=1, at_us=2, leg="L", codec="PCMU", digits="inband", remote_media="127.0.0.1:4000"),
    reports.LegChanged(seq=1, at_us=2, leg="L", hold=True, remote_media="127.0.0.1:4000", codec="PCMA"),
    reports.LegEnded(
        seq=1, at_us=2, leg="L", by="none", cause="ack_timeout", status=408, reason="no ACK", stats=STATS, label="l"
    ),
    reports.DigitReport(seq=1, at_us=2, leg="L", digit="#", method="info", duration_ms=90),
    reports.OperationStarted(seq=1, at_us=2, op=6, leg="L", rtp_timestamp=160),
    reports.OperationEnded(
        seq=1,
        at_us=2,
        op=6,
        leg="L",
        cause="interrupted",
        detail="d",
        digit="1",
        duration_ms=3,
        size_bytes=4,
        started_us=5,
        first_frame_us=6,
    ),
    reports.PcmCredit(seq=1, at_us=2, stream=5, ms=100),
    reports.AudioReport(seq=1, at_us=2, op=11, leg="L", offset_ms=40, samples=b"\x01\x00"),
    reports.Stats(seq=1, at_us=2, legs=[STATS], thread=2, ticks_late=3, ticks_skipped=4, panics=1),
    reports.SipTrace(seq=1, at_us=2, leg="L", sent=True, summary="BYE (2 BYE)", peer="127.0.0.1:4"),
]


def frames(messages) -> bytes:
    encoded = [msgspec.msgpack.encode(message) for message in messages]
    return b"".join(struct.pack(">I", len(frame)) + frame for frame in encoded)


def split(data: bytes) -> list[bytes]:
    found = []
    while data:
        (length,) = struct.unpack_from(">I", data)
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    return found


def shape(value):
    """Field names, without the values."""
    if isinstance(value, dict):
        return {key: shape(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [shape(entry) for entry in value]
    return None


def tags_of(union) -> set[str]:
    return {kind.__struct_config__.tag for kind in typing.get_args(union)}


def test_every_message_has_a_sample_and_no_field_is_at_its_default():
    assert {type(message).__struct_config__.tag for message in OPERATIONS} == tags_of(ops.AnyOperation)
    assert {type(message).__struct_config__.tag for message in REPORTS} == tags_of(reports.AnyReport)
    for message in [*OPERATIONS, *REPORTS, *SOURCES, *REPORTS[0].legs, *REPORTS[0].legs[0].operations, STATS]:
        for field in msgspec.structs.fields(message):
            assert field.default is msgspec.NODEFAULT or getattr(message, field.name) != field.default, (
                message,
                field.name,
            )


def test_what_this_side_writes_is_what_stands_in_the_vectors():
    written = frames([*OPERATIONS, *REPORTS])
    if os.environ.get("OFFHOOK_WRITE_VECTORS"):
        (VECTORS / "node.bin").write_bytes(written)
    assert (VECTORS / "node.bin").read_bytes() == written


def test_the_engine_writes_the_same_messages_with_the_same_fields():
    engine = split((VECTORS / "engine.bin").read_bytes())
    node = split((VECTORS / "node.bin").read_bytes())
    operations = [msgspec.msgpack.decode(frame, type=ops.AnyOperation) for frame in engine[: len(OPERATIONS)]]
    decoded = [msgspec.msgpack.decode(frame, type=reports.AnyReport) for frame in engine[len(OPERATIONS) :]]
    assert operations == OPERATIONS
    assert decoded == REPORTS
    for ours, theirs in zip(node, engine, strict=True):
        assert shape(msgspec.msgpack.decode(ours)) == shape(msgspec.msgpack.decode(theirs))


@pytest.mark.parametrize("message", [*OPERATIONS, *REPORTS], ids=lambda message: type(message).__name__)
def test_unknown_fields_are_ignored(message):
    union = ops.AnyOperation if isinstance(message, ops.Operation) else reports.AnyReport
    widened = msgspec.msgpack.decode(msgspec.msgpack.encode(message)) | {"of_a_later_version": [1]}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(widened), type=union) == message
