"""What a call is from its first moment to its last, and the time of day."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from offhook.protocol.states import Direction

__all__ = ["CallIdentity", "now_ms"]


class CallIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while a call lives."""

    call_id: str
    segment_id: str
    direction: Direction
    device: dict[str, Any]
    context: str = ""
    sip_data: dict[str, Any] = {}
    parent: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"CallIdentity({self.call_id}, {self.direction.value})"


def now_ms() -> int:
    """Milliseconds of the Unix epoch, for what no engine report dates."""
    return time.time_ns() // 1_000_000
