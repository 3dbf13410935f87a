"""``calling.pass``: decline an offered call, so that another client gets it (relay-protocol 4.1)."""

from __future__ import annotations

from typing import ClassVar

from offhook.protocol.params import CallParams

__all__ = ["Pass"]


class Pass(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.pass``."""

    method: ClassVar[str] = "calling.pass"
    accepted: ClassVar[str] = "Passing call to another application"
