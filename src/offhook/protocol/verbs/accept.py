"""``calling.accept``: let an inbound call ring, without answering it (relay-protocol 4.1)."""

from __future__ import annotations

from typing import ClassVar

from offhook.protocol.params import CallParams

__all__ = ["Accept"]


class Accept(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.accept``. ``early_media``: 183 Session Progress instead of 180 Ringing."""

    method: ClassVar[str] = "calling.accept"
    accepted: ClassVar[str] = "Accepting call"

    early_media: bool = False
