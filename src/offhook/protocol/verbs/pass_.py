"""``calling.pass``: decline an offered call, so that another client gets it (relay-protocol 4.1)."""

from __future__ import annotations

from typing import ClassVar, Final

from offhook.protocol.params import CallParams
from offhook.protocol.spec import VerbSpec

__all__ = ["SPECS", "Pass"]


class Pass(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.pass``."""

    method: ClassVar[str] = "calling.pass"
    accepted: ClassVar[str] = "Passing call to another application"


SPECS: Final = (VerbSpec(section=(4, 1), start=Pass, not_found="call"),)
