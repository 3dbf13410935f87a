"""``calling.end``: end a call, ringing or answered (relay-protocol 4.1)."""

from __future__ import annotations

from typing import ClassVar, Literal

from offhook.protocol.params import CallParams

__all__ = ["End"]


class End(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.end``."""

    method: ClassVar[str] = "calling.end"
    accepted: ClassVar[str] = "Ending call"

    reason: Literal["hangup", "cancel", "busy", "noAnswer", "decline", "error"] = "hangup"
