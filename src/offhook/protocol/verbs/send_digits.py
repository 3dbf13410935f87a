"""``calling.send_digits``: send DTMF (relay-protocol 4.4)."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from offhook.protocol.params import ControlParams, DialDigits
from offhook.protocol.spec import VerbSpec
from offhook.protocol.states import SendDigitsState

__all__ = ["EVENT", "SPECS", "SendDigits", "SendDigitsEvent"]

EVENT: Final = "calling.call.send_digits"


class SendDigits(ControlParams, frozen=True, kw_only=True):
    """Params of ``calling.send_digits``. ``w`` pauses 0.5 s, ``W`` 1 s."""

    method: ClassVar[str] = "calling.send_digits"
    accepted: ClassVar[str] = "Sending"

    digits: DialDigits

    def __repr__(self) -> str:
        return f"SendDigits(digits=<{len(self.digits)}>)"


class SendDigitsEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Params of ``calling.call.send_digits``."""

    node_id: str
    call_id: str
    control_id: str
    state: SendDigitsState


SPECS: Final = (VerbSpec(section=(4, 4), start=SendDigits, event=EVENT, not_found="call"),)
