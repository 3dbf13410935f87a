"""``calling.answer``: answer an inbound call (relay-protocol 4.1)."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from offhook.protocol.devices import Codec
from offhook.protocol.params import CallParams, WholeSeconds
from offhook.protocol.spec import VerbSpec

__all__ = ["SPECS", "Answer"]


class Answer(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.answer``. ``codecs`` in order of preference; ``max_duration`` ends the call after so long."""

    method: ClassVar[str] = "calling.answer"
    accepted: ClassVar[str] = "Answering call"

    codecs: list[Codec] = msgspec.field(default_factory=list)
    max_duration: WholeSeconds | None = None


SPECS: Final = (VerbSpec(section=(4, 1), start=Answer, not_found="call"),)
