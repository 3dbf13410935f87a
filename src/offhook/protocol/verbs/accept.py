"""``calling.accept``: let an inbound call ring, without answering it (relay-protocol 4.1)."""

from __future__ import annotations

from typing import ClassVar, Final

from offhook.protocol.params import CallParams
from offhook.protocol.spec import VerbSpec

__all__ = ["SPECS", "Accept"]


class Accept(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.accept``. ``early_media``: 183 Session Progress instead of 180 Ringing."""

    method: ClassVar[str] = "calling.accept"
    accepted: ClassVar[str] = "Accepting call"

    early_media: bool = False


SPECS: Final = (VerbSpec(section=(4, 1), start=Accept, not_found="call"),)
