"""How much may be asked of the web: by all together, and by one request."""

from __future__ import annotations

import msgspec

__all__ = ["OutboundLimits", "Policy"]


class OutboundLimits(msgspec.Struct, frozen=True):
    """Where to, and how much at once, for all who ask; of the settings of section ``fetch``."""

    ports: tuple[int, ...] = (80, 443, 8080, 8443)
    allow_loopback: bool = False
    parallel: int = 32
    per_host: int = 6
    per_asker: int = 8


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may cost, redirects included. ``max_bytes_setting`` is named where an answer is longer."""

    max_bytes: int
    connect_s: float = 2.0
    read_s: float = 5.0
    total_s: float = 15.0
    redirects: int = 3
    max_bytes_setting: str = ""
