"""``calling.transfer``: give the call to SWML or to another application (relay-protocol 4.1)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import msgspec

from offhook.protocol.params import CallParams
from offhook.protocol.spec import VerbSpec

__all__ = ["SPECS", "Transfer"]


class Transfer(CallParams, frozen=True, kw_only=True):
    """Params of ``calling.transfer``. Afterwards the application no longer controls the call."""

    method: ClassVar[str] = "calling.transfer"
    accepted: ClassVar[str] = "Transferring"

    dest: Annotated[
        str | dict[str, Any],
        msgspec.Meta(description="an https:// URL of SWML, context:<name>, or an inline SWML document"),
    ]


SPECS: Final = (VerbSpec(section=(4, 1), start=Transfer),)
