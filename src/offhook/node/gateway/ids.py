"""Names that the gateway gives: events, sessions, connections."""

from __future__ import annotations

import os
import time
import uuid

__all__ = ["new_event_id", "new_identity", "new_protocol", "signature_of"]


def new_event_id() -> str:
    """Make a UUIDv7 (RFC 9562 section 5.7): sortable by time, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_protocol() -> str:
    """Make the name of a session: ``signalwire_<40 hex>_<uuid>_<uuid>``."""
    return f"signalwire_{os.urandom(20).hex()}_{uuid.uuid4()}_{uuid.uuid4()}"


def new_identity(node_id: str) -> str:
    """Make the name of one connection."""
    return f"{uuid.uuid4()}@{node_id}"


def signature_of(protocol: str) -> str:
    """Tell the second ``_`` part of a session's name, which clients compare with ``authorization.signature``."""
    return protocol.split("_")[1]
