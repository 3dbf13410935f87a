"""``calling.end``: end a call, ringing or answered (relay-protocol 4.1)."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from offhook.protocol.params import CallParams
from offhook.protocol.spec import VerbSpec

__all__ = ["SPECS", "End"]


class End(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.end``."""

    method: ClassVar[str] = "calling.end"
    accepted: ClassVar[str] = "Ending call"

    reason: Literal["hangup", "cancel", "busy", "noAnswer", "decline", "error"] = "hangup"


SPECS: Final = (VerbSpec(section=(4, 1), start=End, not_found="call"),)
