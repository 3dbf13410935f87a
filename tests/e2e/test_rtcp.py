"""RTCP as tshark reads it: sender and receiver reports that are true, a name, and BYE at the end."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from rig.fixtures import Callers, answered
from rig.relay import RelayPeer

PERIOD_S = 5.0
NTP = (0xE0000000, 0x80000000)
LOST_ONE_IN = 10


def write_pcap(path: Path, datagrams: Sequence[bytes], port: int) -> Path:
    """UDP datagrams to a port, as a capture of raw IP."""
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    for number, data in enumerate(datagrams):
        total = 28 + len(data)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, number, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
        udp = struct.pack("!HHHH", 9, port, 8 + len(data), 0)
        records.append(struct.pack("<IIII", number, 0, total, total) + ip + udp + data)
    path.write_bytes(b"".join(records))
    return path


def decoded(path: Path, port: int) -> list[dict[str, list[str]]]:
    """The fields of each datagram that start with ``rtcp.``, by tshark."""
    arguments = ["tshark", "-n", "-r", str(path), "-d", f"udp.port=={port},rtcp", "-T", "ek"]
    out = subprocess.run(arguments, capture_output=True, check=True, text=True).stdout
    layers = [json.loads(line)["layers"] for line in out.splitlines() if '"layers"' in line]
    found = []
    for layer in layers:
        fields: dict[str, list[str]] = {}
        parts = layer["rtcp"] if isinstance(layer["rtcp"], list) else [layer["rtcp"]]
        for part in parts:
            for name, value in part.items():
                fields.setdefault(name.removeprefix("rtcp_").removeprefix("rtcp_"), []).extend(
                    value if isinstance(value, list) else [value]
                )
        found.append(fields)
    return found


def read_all(sock: socket.socket) -> list[bytes]:
    datagrams = []
    while True:
        try:
            datagrams.append(sock.recv(2048))
        except BlockingIOError:
            return datagrams


@pytest.mark.judges_time
@pytest.mark.peers
async def test_reports_are_true_and_the_last_one_says_bye(callers: Callers, relay: RelayPeer, tmp_path: Path) -> None:
    caller = await callers()
    rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    rtcp.bind(("127.0.0.1", caller.rtp.port + 1))
    rtcp.setblocking(False)
    first = caller.rtp.first_sequence
    caller.rtp.impair = lambda number: None if (number - first) % LOST_ONE_IN == 5 else 0.0
    talk = await answered(caller, relay)
    host, port = caller.answer.media
    ours = struct.pack("!BBHIIIIII", 0x80, 200, 6, 0x12345678, *NTP, 0, 0, 0)
    rtcp.sendto(ours, (host, port + 1))
    began = time.monotonic()
    await asyncio.sleep(PERIOD_S + 0.3)
    async with asyncio.timeout(30):
        while not (before := read_all(rtcp)):
            await asyncio.sleep(0.05)
    most = 1 + int((time.monotonic() - began + 0.5) / PERIOD_S)
    heard, sent = len(caller.rtp.heard()), list(caller.rtp.sent)
    await caller.bye()
    await relay.state(talk.call, "ended")
    await asyncio.sleep(0.2)
    after = read_all(rtcp)
    reports = decoded(write_pcap(tmp_path / "rtcp.pcap", before + after, rtcp.getsockname()[1]), rtcp.getsockname()[1])
    rtcp.close()
    ssrc, ssrc_of_ours = {p.ssrc for p in caller.rtp.heard()}, f"0x{caller.rtp.ssrc:08x}"
    assert 1 <= len(before) <= most, "every 5 s, from a place of its own in them"
    assert {int(word, 16) for report in reports for word in report["senderssrc"]} == ssrc
    assert all(report["length_check"] == [True] for report in reports)
    assert all(report["pt"] == ["200", "202"] for report in reports[:-1]), "a sender's report and a name"
    last = reports[-1]
    assert last["pt"] == ["200", "202", "203"], "and BYE at the end"
    assert heard - 1 <= int(last["sender_packetcount"][0]) <= len(caller.rtp.heard())
    assert int(last["sender_octetcount"][0]) == 160 * int(last["sender_packetcount"][0])
    assert last["ssrc_identifier"][0] == ssrc_of_ours
    assert last["ssrc_lsr"] == [str((NTP[0] << 16 | NTP[1] >> 16) & 0xFFFFFFFF)]
    fractions = [int(report["ssrc_fraction"][0]) for report in reports if "ssrc_fraction" in report]
    assert 0 < max(fractions) < 64, "of the longest time between two reports"
    later = list(caller.rtp.sent)
    assert len(sent) / (LOST_ONE_IN - 1) - 2 <= int(last["ssrc_cum_nr"][0]) <= len(later) / (LOST_ONE_IN - 1) + 2
    assert sent[-1][1] - 5 <= int(last["ssrc_ext_high"][0]) <= later[-1][1]
    waited = caller.rtp.waits.between(caller.rtp.sent[0][0], caller.rtp.sent[-1][0])
    seconds = [int(report["timestamp_rtp"][0]) / 8000 for report in reports]
    clock = [int(r["timestamp_ntp_msw"][0]) + int(r["timestamp_ntp_lsw"][0]) / (1 << 32) for r in reports]
    assert seconds[-1] - seconds[0] == pytest.approx(clock[-1] - clock[0], abs=0.03 + waited), "two clocks that differ"
