"""What a plain asyncio program costs on this machine, so that figures of two machines can be compared."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import time
from pathlib import Path
from typing import Any

from offhook.node.web.tls import LocalCertificates, server_context

__all__ = ["yardstick"]

TRIPS, PER_S, SIZE_BYTES = 1000, 200, 1000


def yardstick(directory: Path, set_ups: dict[str, Any]) -> dict[str, float]:
    """CPU of a round trip of 1000 bytes over TLS on loopback, both ends; and how many of them a call is worth."""
    trip_ms = asyncio.run(_measure(directory))
    call_ms = sum(set_ups["cpu_ms_per_call"].values())
    return {
        "tls_round_trip_cpu_ms": trip_ms,
        "call_cpu_ms": call_ms,
        "call_in_round_trips": call_ms / trip_ms,
        "node_in_round_trips": set_ups["cpu_ms_per_call"]["node"] / trip_ms,
    }


async def _measure(directory: Path) -> float:
    certificates = LocalCertificates(directory)
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    context = server_context(certificates.chain_file, certificates.key_file)
    server = await asyncio.start_server(_echo, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    trust = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname="localhost")
    began = time.process_time()
    for _ in range(TRIPS):
        writer.write(bytes(SIZE_BYTES))
        await reader.readexactly(SIZE_BYTES)
        await asyncio.sleep(1 / PER_S)
    spent_s = time.process_time() - began
    writer.close()
    await writer.wait_closed()
    server.close()
    return spent_s * 1000 / TRIPS


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
    writer.close()
